"""Asks for many jobs while servers come and go, and keeps a ledger of what was acknowledged."""

import contextlib
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from tests.scale.brokers import REDIS, fresh_queue
from tests.scale.processes import Restarted
from tests.storage.databases import fresh_database

GIVEN_UP = "each attempt"
BASE = {
    "PENSTOCK_PORT": "0",
    "PENSTOCK_LIMITS__MAX_JOBS": "100000",
    "PENSTOCK_LIMITS__LEASE_SECONDS": "2",
    "PENSTOCK_CACHE_MIB": "0",
    "FAKE_STEP_SECONDS": "0.05",
}


@dataclass
class Ledger:
    """What was acknowledged, by the key it was asked under."""

    accepted: dict[str, str] = field(default_factory=dict)
    num_unanswered: int = 0


@contextlib.contextmanager
def sharing(kind: str, folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """A database, and the environment of processes that share it."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fresh_database(kind, folder))
        environment = BASE | {"PENSTOCK_DATABASE_URL": url, "PENSTOCK_DATA_DIR": str(folder)}
        if kind == "sqlite":
            yield url, environment | {"PENSTOCK_EXECUTOR": "separate"}
            return
        queue = stack.enter_context(fresh_queue())
        broker = {"PENSTOCK_BROKER_URL": REDIS, "PENSTOCK_BROKER_QUEUE": queue}
        yield url, environment | {"PENSTOCK_EXECUTOR": "celery"} | broker


def body(number: int) -> dict[str, Any]:
    """What a job is asked; every tenth fails, as its model does not exist."""
    asked = {"prompt": f"Job {number}", "max_new_tokens": 1 + number % 7, "seed": number}
    if number % 10 == 3:
        asked["model"] = "no-such-model"
    return {"kind": "generation", "payload": {"endpoint": "/generate", "body": asked}}


class Submitters:
    """Threads that ask for `num_jobs` jobs, each until it is accepted, and for the end of some."""

    def __init__(self, server: Restarted, num_jobs: int, ledger: Ledger, num_threads: int) -> None:
        self._server = server
        self._numbers = iter(range(num_jobs))
        self._ledger = ledger
        self._lock = threading.Lock()
        self._failures: list[str] = []
        self._threads = [
            threading.Thread(target=self._submit, daemon=True) for _ in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def join(self, seconds: float) -> None:
        """Wait until all jobs are accepted."""
        for thread in self._threads:
            thread.join(seconds)
            assert not thread.is_alive(), "not all jobs were accepted in time"
        assert self._failures == []

    def _submit(self) -> None:
        with httpx2.Client(timeout=10) as client:
            while True:
                with self._lock:
                    number = next(self._numbers, None)
                if number is None:
                    return
                key = uuid.uuid4().hex
                headers = {"Idempotency-Key": key}
                job = self._answer(client, "/jobs", json=body(number), headers=headers)
                self._ledger.accepted[key] = job["id"]
                if number % 7 == 0:
                    self._answer(client, f"/jobs/{job['id']}/cancel")

    def _answer(self, client: httpx2.Client, path: str, **options: Any) -> dict[str, Any]:
        while True:
            try:
                response = client.post(self._server.announced + path, **options)
            except (httpx2.TransportError, httpx2.UnsupportedProtocol):
                self._ledger.num_unanswered += 1
            else:
                if response.status_code < 300:
                    answer: dict[str, Any] = response.json()
                    return answer
                if response.status_code != 503:
                    self._failures.append(response.text)
                    raise AssertionError(response.text)
            time.sleep(0.05)


def check_outcome(row: Any) -> None:
    """It has what its end says it has."""
    asked = row["payload"]["body"]
    match row["state"]:
        case "succeeded":
            answer = row["result"]["body"]
            assert answer["sequences"][0]["tokens"] == asked["max_new_tokens"]
            assert (answer["prompt"], answer["seed"]) == (asked["prompt"], asked["seed"])
        case "failed":
            assert ("no-such-model" in row["error"]) == ("model" in asked) or (
                GIVEN_UP in row["error"]
            )
        case "cancelled":
            assert row["cancel_requested"] and row["result"] is None
