"""Webhooks: signed, sent when the job has ended, sent again until they are taken."""

import base64
import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from fastapi.testclient import TestClient

from tests.api.jobs.asking import ended, started, wanted

KEY = b"a key that only the two of us know"
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@dataclass
class Receiver:
    """A server that answers with `statuses` in turn, then with 204."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    received: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    taken: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    told = Receiver()

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            told.received.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = told.statuses.pop(0) if told.statuses else 204
            self.send_response(status)
            self.end_headers()
            if status == 204:
                told.taken.set()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    told.url = f"http://127.0.0.1:{server.server_address[1]}/hook?x=1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield told
    server.shutdown()
    server.server_close()
    thread.join()


def with_webhook(url: str) -> dict[str, object]:
    return wanted(max_new_tokens=2) | {"webhook": {"url": url, "secret": SECRET}}


def test_the_receiver_is_told_once_and_can_check_who_tells(
    jobs_client: TestClient, receiver: Receiver
) -> None:
    job = started(jobs_client, with_webhook(receiver.url))

    assert receiver.taken.wait(60)
    job = ended(jobs_client, job["id"])

    ((headers, body),) = receiver.received
    message = f"{job['id']}.{headers['webhook-timestamp']}.".encode() + body
    signature = base64.b64encode(hmac.new(KEY, message, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{signature}"
    assert headers["webhook-id"] == job["id"]
    told = json.loads(body)
    assert told["type"] == "job.succeeded"
    assert told["data"] == {
        "id": job["id"],
        "kind": "generation",
        "state": "succeeded",
        "error": None,
    }
    assert SECRET not in json.dumps(job)


def test_a_receiver_that_fails_is_told_again(
    jobs_client: TestClient, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.jobs.webhooks.delivery.FIRST_PAUSE_SECONDS", 0.01)
    receiver.statuses = [500, 302]  # a redirect is not followed

    started(jobs_client, with_webhook(receiver.url))

    assert receiver.taken.wait(60)
    assert len(receiver.received) == 3
    assert len({body for _, body in receiver.received}) <= 3
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
