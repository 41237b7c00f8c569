"""A hub on this machine: the two routes a download uses, with the faults a network has."""

import contextlib
import hashlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.model.folders import COMMIT

_ABOUT = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/revision/(?P<revision>[^/?]+)")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<name>.+)")
_LARGE = 1000  # from this size on, files are kept apart from git and known by their SHA-256


@dataclass
class FakeHub:
    """One repository and how it misbehaves. Owned by the test; the server's threads read it."""

    repo: str
    files: dict[str, bytes]
    revision: str = "main"
    endpoint: str = ""
    refusal: tuple[int, str] | None = None  # status and X-Error-Code of every answer
    drop_after: int | None = None  # bytes of weights after which the line breaks
    drops_left: int = 10**6
    ignores_range: bool = False
    pause_seconds: float = 0.0  # between two hundredths of the weights
    sent_instead: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str | None, str | None]] = field(default_factory=list)

    def names_fetched(self) -> list[str]:
        """The files asked for, in order."""
        return [path.rpartition("/")[2] for path, _, _ in self.requests if "/resolve/" in path]

    def breaks(self, name: str) -> bool:
        """Whether the line is to break while this file is sent."""
        is_weights = name.endswith(".safetensors")
        return is_weights and self.drop_after is not None and self.drops_left > 0

    def about(self) -> dict[str, Any]:
        """What the hub says of the repository."""
        siblings = [_sibling(name, content) for name, content in self.files.items()]
        return {"id": self.repo, "sha": COMMIT, "siblings": siblings, "tags": []}


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    known: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git}
    if len(content) >= _LARGE:
        digest = hashlib.sha256(content).hexdigest()
        known["lfs"] = {"size": len(content), "sha256": digest, "pointerSize": 134}
    return known


@contextlib.contextmanager
def serving(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve the hub on a free port of this machine while the block runs."""

    class Handler(_Handler):
        fake = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeHub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub, path = self.fake, unquote(urlsplit(self.path).path)
        hub.requests.append((path, self.headers["Range"], self.headers["Authorization"]))
        if hub.refusal is not None:
            self._refuse(*hub.refusal)
        elif (match := _ABOUT.fullmatch(path)) and match["repo"] == hub.repo:
            if match["revision"] in (hub.revision, COMMIT):
                self._answer(json.dumps(hub.about()).encode(), "application/json")
            else:
                self._refuse(404, "RevisionNotFound")
        elif (match := _FILE.fullmatch(path)) and match["name"] in hub.files:
            self._send_file(match["name"])
        else:
            self._refuse(404, "RepoNotFound")

    def _send_file(self, name: str) -> None:
        hub = self.fake
        content = hub.sent_instead.get(name, hub.files[name])
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "")
        start = int(wanted[1]) if wanted and not hub.ignores_range else 0
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        part = content[start:]
        if hub.breaks(name) and len(part) > (hub.drop_after or 0):
            hub.drops_left -= 1
            part = part[: hub.drop_after]
            self.close_connection = True
        with contextlib.suppress(ConnectionError):  # who asked has left
            self._send(part, hub.pause_seconds if name.endswith(".safetensors") else 0.0)

    def _send(self, content: bytes, pause_seconds: float) -> None:
        size = len(content) // 100 + 1
        for start in range(0, len(content), size):
            if pause_seconds:
                time.sleep(pause_seconds)
            self.wfile.write(content[start : start + size])

    def _answer(self, content: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("X-Error-Message", "as the test wants it")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the test reads `requests`."""
