"""Where a webhook may go: the internet at large, and nowhere inside, however that is written."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from penstock.errors import InvalidParameter
from penstock.jobs.webhooks.addresses import is_public, target_of
from penstock.jobs.webhooks.posting import NotTaken, post

PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "10.255.255.255",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "100.127.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "224.0.1.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd12:3456::1",
    "ff02::1",
    "ff0e::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2001::1",
    "2001:db8::1",
    "fec0::1",
    "100::1",
]
PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:8.8.8.8")

WRONG = [
    *[
        "ftp://example.org/",
        "file:///etc/passwd",
        "gopher://example.org/",
        "example.org",
        "//",
        "http://",
        "http:///x",
        "javascript:alert(1)",
        "http://user@example.org/",
        "http://u:p@example.org/",
        "http://example.org/#x",
        "http://example.org:22/",
        "http://example.org:6379/",
        "http://example.org:99999/",
        "http://[::1",
        "http://[x]/",
        "http://localhost/",
        "http://a.localhost/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://192.168.1.1/",
        "http://0.0.0.0/",
        "http://ex\\ample.org/",
        "http://exämple.org/",
        "https://10.1.2.3/",
        "https://[fe80::1]/",
    ],
    "http://example.org/a b",
    "http://example.org/\r\nX: y",
    "http://example.org/\t",
    "http://example.org/\0",
]
# Forms of addresses that only a resolver understands.
ODD = [
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0",
    "127.0.1",
    "0x7f.1",
    "017700000001",
    "localhost",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_outside_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("url", WRONG)
def test_a_url_that_leads_elsewhere_is_refused_by_name(url: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        target_of(url, allow_private=False)

    assert refused.value.param == "webhook.url"


@pytest.fixture
def canary() -> Iterator[socket.socket]:
    """A port of this machine that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


@pytest.mark.parametrize("host", ODD)
async def test_a_name_that_resolves_to_this_machine_is_not_connected_to(
    host: str, canary: socket.socket
) -> None:
    port = canary.getsockname()[1]
    target = target_of(f"http://{host}:{port}/", allow_private=True)

    with pytest.raises(NotTaken, match=r"private network|no address"):
        await post(target, {}, b"{}", allow_private=False)

    with pytest.raises(BlockingIOError):
        canary.accept()


async def test_what_was_checked_is_what_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["93.184.216.34", "127.0.0.1"])  # the second time it is another
    connected = []

    async def resolve(host: str, port: int, **_: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    async def connect(host: str, *_: object, **__: object) -> object:
        connected.append(host)
        raise OSError("no way out")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    monkeypatch.setattr(asyncio, "open_connection", connect)
    target = target_of("http://rebinding.example/", allow_private=False)

    with pytest.raises(NotTaken, match="no way out"):
        await post(target, {}, b"{}", allow_private=False)

    assert connected == ["93.184.216.34"]
