"""What every request passes through: ids, headers, host names, origins and the size of bodies."""

import asyncio

import pytest
from fastapi.testclient import TestClient

from penstock.api.app import create_app
from penstock.api.building import build_services
from penstock.api.edge import Edge
from penstock.serving.callers import caller
from penstock.settings import Settings
from tests.api.conftest import EDGE, Live, connected
from tests.fakes import FakeModels

ALL = ["/", "/docs", "/health", "/nope", "/generate", "/openapi.json"]
LIMIT = EDGE.max_body_bytes


@pytest.mark.parametrize("path", ALL)
def test_every_response_carries_an_id_and_the_security_headers(
    client: TestClient, path: str
) -> None:
    headers = client.get(path).headers

    assert len(headers["x-request-id"]) == 32
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "server" not in headers


def test_a_well_formed_request_id_is_kept_and_another_replaced(client: TestClient) -> None:
    def answered(sent: str) -> str:
        return client.get("/livez", headers={"x-request-id": sent}).headers["x-request-id"]

    assert answered("a.B_9-" + "x" * 122) == "a.B_9-" + "x" * 122
    for malformed in ("x" * 129, "a b", "a/b", "", "a;b"):
        assert answered(malformed) != malformed


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("LOCALHOST:1", 200),
        ("[::1]:8000", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8000", 421),
        ("evil.example:80@127.0.0.1", 421),
        ("", 421),
    ],
)
def test_only_known_host_names_are_answered(client: TestClient, host: str, status: int) -> None:
    response = client.get("/livez", headers={"host": host})

    assert response.status_code == status
    if status == 421:
        assert response.json()["error"]["code"] == "unknown_host"


def test_configured_host_names_are_answered_and_an_open_server_answers_all() -> None:
    with connected(FakeModels(), edge=Edge(allowed_hosts=None)) as client:
        assert client.get("/livez", headers={"host": "any.example"}).status_code == 200
    with connected(FakeModels(), edge=Edge(allowed_hosts=("box.lan", "127.0.0.1"))) as client:
        assert client.get("/livez", headers={"host": "box.lan:8000"}).status_code == 200
        assert client.get("/livez", headers={"host": "other.lan"}).status_code == 421


def preflight(client: TestClient, origin: str) -> dict[str, str]:
    return dict(
        client.options(
            "/generate",
            headers={
                "origin": origin,
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type",
            },
        ).headers
    )


def test_no_other_origin_may_call_by_default(client: TestClient) -> None:
    assert "access-control-allow-origin" not in preflight(client, "http://evil.example")
    assert "access-control-allow-origin" not in preflight(client, "null")


def test_listed_origins_may_call_and_no_others() -> None:
    edge = Edge(allowed_hosts=EDGE.allowed_hosts, cors_origins=("http://a.example", "null"))
    with connected(FakeModels(), edge=edge) as client:
        assert preflight(client, "http://a.example")["access-control-allow-origin"] == (
            "http://a.example"
        )
        assert preflight(client, "null")["access-control-allow-origin"] == "null"
        assert "access-control-allow-origin" not in preflight(client, "http://b.example")
        assert "access-control-allow-credentials" not in preflight(client, "http://a.example")


def test_a_body_at_the_limit_is_read_and_one_over_it_is_not(client: TestClient) -> None:
    frame = b'{"prompt": "", "temperature": 9}'
    headers = {"content-type": "application/json"}
    at_limit = frame[:12] + b"x" * (LIMIT - len(frame)) + frame[12:]

    read = client.post("/generate", content=at_limit, headers=headers)
    refused = client.post("/generate", content=at_limit + b" ", headers=headers)

    assert read.status_code == 422
    assert refused.status_code == 413
    assert refused.json()["error"] == {
        "message": f"The body is over {LIMIT} bytes. Send less at once.",
        "type": "invalid_request_error",
        "param": None,
        "code": "request_too_large",
    }


def test_a_chunked_body_over_the_limit_is_refused(client: TestClient) -> None:
    chunks = (b"x" * 65536 for _ in range(LIMIT // 65536 + 1))

    response = client.post(
        "/generate", content=chunks, headers={"content-type": "application/json"}
    )

    assert response.status_code == 413


async def test_a_large_body_is_refused_before_it_arrives(live: tuple[Live, FakeModels]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", live[0].port)
    writer.write(
        b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999\r\n\r\n{"
    )

    answer = await asyncio.wait_for(reader.read(), 5)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"request_too_large"' in answer
    writer.close()


def test_an_unforeseen_failure_is_a_500_with_the_request_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    models = FakeModels()
    with connected(models) as client:
        models.find = None  # type: ignore[assignment, method-assign]

        response = client.get("/models", headers={"x-request-id": "abc"})

        assert response.status_code == 500
        assert response.headers["x-request-id"] == "abc"
        assert response.json()["error"] == {
            "message": "Something went wrong inside the server. Its log has the details under abc.",
            "type": "server_error",
            "param": None,
            "code": "internal_error",
        }
        assert "TypeError" in caplog.text and "TypeError" not in response.text


@pytest.mark.parametrize(
    ("peer", "forwarded", "seen"),
    [
        ("10.0.0.7", "203.0.113.9", "203.0.113.9"),
        ("10.0.0.7", "198.51.100.1, 203.0.113.9, 10.0.0.8", "203.0.113.9"),  # its last stranger
        ("10.0.0.7", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("10.0.0.7", None, "10.0.0.7"),
        ("192.0.2.66", "203.0.113.9", "192.0.2.66"),  # says so itself: not heeded
    ],
)
def test_a_trusted_proxy_and_nobody_else_says_who_asks(
    peer: str, forwarded: str | None, seen: str
) -> None:
    edge = Edge(allowed_hosts=None, trusted_proxies=("10.0.0.0/8",))
    app = create_app(build_services(Settings(auth="off"), FakeModels()), edge)
    callers: list[str] = []

    @app.get("/who-asks")
    async def note() -> None:
        callers.append(caller().name)

    client = TestClient(app, client=(peer, 1234))
    client.get("/who-asks", headers={"x-forwarded-for": forwarded} if forwarded else {})

    assert callers == [seen]


def test_a_proxy_that_is_no_address_is_refused_when_settings_are_read() -> None:
    with pytest.raises(ValueError, match=r"proxy\.lan"):
        Settings(trusted_proxies=("10.0.0.0/8", "proxy.lan"))


def test_only_what_came_encrypted_is_to_stay_encrypted(client: TestClient) -> None:
    assert "strict-transport-security" not in client.get("/livez").headers
    encrypted = client.get("https://127.0.0.1/livez").headers
    assert encrypted["strict-transport-security"] == "max-age=31536000"
