"""A stand-in for the server that says set things at a set pace. Knows no model.

Run it alone to work on the page: `python -m tests.e2e.fake_server --port 8001`
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.e2e.fake_tokens import chosen_token, next_token
from tests.e2e.offer import offer

HERE = Path(__file__).parent
WEB = HERE.parents[1] / "src" / "penstock" / "web"
STORIES = (HERE / "stories.txt").read_text(encoding="utf-8").split("\n----\n")
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)
CONTEXT_LENGTH = 512

Json = dict[str, Any]


@dataclass(slots=True)
class Script:
    """What the next answers are like. Owned by the server; a test changes it."""

    seconds_per_token: float = 0.02
    text: str | None = None  # instead of a story
    break_after: int | None = None  # tokens; then the connection ends
    refusal: str | None = None  # instead of an answer
    cancelled: threading.Event = field(default_factory=threading.Event)  # a client left early
    may_look: threading.Event = field(default_factory=threading.Event)  # looks wait for it

    def __post_init__(self) -> None:
        self.may_look.set()


class FakeServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Answer)
        self.script = Script()
        self.seeds = itertools.count(1000)
        self.catalog = offer()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def start(self) -> FakeServer:
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class Answer(BaseHTTPRequestHandler):
    server: FakeServer

    def do_OPTIONS(self) -> None:
        self._send(HTTPStatus.NO_CONTENT, "text/plain", b"")

    def do_GET(self) -> None:
        path = self.path.split("?")[0].lstrip("/") or "index.html"
        file = WEB / path
        if path in self.server.catalog:
            self._send_json(HTTPStatus.OK, self.server.catalog[path])
        elif file.is_file():
            self._send(HTTPStatus.OK, TYPES[file.suffix], file.read_bytes())
        else:
            self._send_json(HTTPStatus.NOT_FOUND, error_body(f"There is no {path}.", "not_found"))

    def do_POST(self) -> None:
        body: Json = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/lab/next-token":
            self.server.script.may_look.wait()
            self._send_json(HTTPStatus.OK, next_token(body))
            return
        refusal = None if self.path == "/compare" else refusal_of(body)
        if self.path == "/generate" and self.server.script.refusal is not None:
            refusal = error_body(self.server.script.refusal, "refused")
        if refusal is not None:
            self._send_json(HTTPStatus.UNPROCESSABLE_ENTITY, refusal)
        elif self.path == "/compare":
            self._stream(self._compare(body))
        else:
            self._stream(self._generate(body))

    def _generate(self, body: Json) -> Iterator[Json]:
        """The events of one generation, at the script's pace."""
        script = self.server.script
        run = run_of(body, next(self.server.seeds))
        yield {"event": "start", **run, "num_sequences": 1}
        began = time.perf_counter()
        limit = body.get("max_new_tokens", 100)
        words = re.findall(r"\s*\S+", script.text or story_for(run))[:limit]
        for number, word in enumerate(words):
            if number == script.break_after:
                raise ConnectionAbortedError
            time.sleep(script.seconds_per_token)
            token = {"event": "token", "index": 0, "text": word, "token_ids": [number]}
            yield token | ({"logprobs": [chosen_token(word)]} if body.get("logprobs") else {})
        seconds = time.perf_counter() - began + 1e-6
        reason = "length" if len(words) == limit else "stop"
        sequence = {"text": "".join(words), "finish_reason": reason, "tokens": len(words)}
        yield {"event": "finish", "index": 0, "score": None, **sequence}
        yield {"event": "done", **run, **ending_of(run, sequence, seconds)}

    def _compare(self, body: Json) -> Iterator[Json]:
        """One event of each column in turn, until all have ended."""
        runs: dict[int, Iterator[Json]] = {}
        for column, fields in enumerate(body["columns"]):
            asked = {"prompt": body["prompt"], **fields}
            refusal = refusal_of(asked)
            if refusal is None:
                runs[column] = self._generate(asked)
            else:
                yield {"event": "error", "column": column, **refusal}
        while runs:
            for column, run in list(runs.items()):
                event = next(run, None)
                if event is None:
                    del runs[column]
                else:
                    yield {**event, "column": column}

    def _stream(self, events: Iterator[Json]) -> None:
        self._head(HTTPStatus.OK, "text/event-stream")
        try:
            for event in events:
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")
        except ConnectionAbortedError:
            return
        except (BrokenPipeError, ConnectionResetError):
            self.server.script.cancelled.set()

    def _send_json(self, status: int, body: Json) -> None:
        self._send(status, "application/json", json.dumps(body).encode())

    def _send(self, status: int, content_type: str, body: bytes) -> None:
        self._head(status, content_type)
        self.wfile.write(body)

    def _head(self, status: int, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", f"{content_type}; charset=utf-8")
        self.send_header("content-security-policy", POLICY)
        self.send_header("cache-control", "no-store")
        self.send_header("access-control-allow-origin", "*")
        self.send_header("access-control-allow-headers", "content-type")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Say nothing: tests look at what came of a request."""


def run_of(body: Json, seed: int) -> Json:
    return {
        "id": "gen_1",
        "model": body.get("model", "penstock-tiny"),
        "strategy": body.get("strategy", "sampling"),
        "seed": body.get("seed", seed),
        "parameters": {},
        "unused_parameters": [],
        "prompt": body["prompt"],
        "rendered_prompt": body["prompt"],
        "usage": {"prompt_tokens": num_tokens(body["prompt"])},
    }


def ending_of(run: Json, sequence: Json, seconds: float) -> Json:
    prompt_tokens, tokens = run["usage"]["prompt_tokens"], sequence["tokens"]
    return {
        "generated_text": run["prompt"] + sequence["text"],
        "sequences": [{**sequence, "score": None}],
        "usage": {
            "prompt_tokens": prompt_tokens,
            "completion_tokens": tokens,
            "total_tokens": prompt_tokens + tokens,
        },
        "timings": {
            "queue_ms": 0.1,
            "prompt_ms": 9.0,
            "first_token_ms": 11.0,
            "generation_ms": seconds * 1000,
            "tokens_per_second": tokens / seconds,
        },
        "receipt": "rcpt_1",
    }


def story_for(run: Json) -> str:
    """Chance picks the story; without chance it is always the last."""
    if run["strategy"] == "greedy":
        return " " + STORIES[-1]
    return " " + STORIES[run["seed"] % (len(STORIES) - 1)]


def num_tokens(text: str) -> int:
    return len(text.split()) + 1


def refusal_of(body: Json) -> Json | None:
    """The error object of the refusal, if the request gets one."""
    asked = body.get("max_new_tokens", 100)
    room = CONTEXT_LENGTH - num_tokens(body["prompt"])
    if asked <= room:
        return None
    return error_body(
        f"{num_tokens(body['prompt'])} prompt tokens and max_new_tokens={asked} do not fit the "
        f"context of penstock-tiny, {CONTEXT_LENGTH} tokens. Set max_new_tokens to {room} or less.",
        "context_length_exceeded",
        "max_new_tokens",
    )


def error_body(message: str, code: str, param: str | None = None) -> Json:
    return {"error": {"message": message, "type": "fake", "param": param, "code": code}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8001)
    server = FakeServer(parser.parse_args().port)
    sys.stdout.write(f"{server.url}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
