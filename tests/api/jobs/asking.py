"""Asks for jobs and follows them, through a client of the application."""

import json
import time
from typing import Any

from fastapi.testclient import TestClient

ENDED = {"succeeded", "failed", "cancelled"}


def wanted(prompt: str = "a mill", endpoint: str = "/generate", **body: Any) -> dict[str, Any]:
    """The request for a job that generates."""
    return {
        "kind": "generation",
        "payload": {"endpoint": endpoint, "body": {"prompt": prompt} | body},
    }


def started(client: TestClient, wanted: dict[str, Any], **headers: str) -> dict[str, Any]:
    """A job that was accepted."""
    response = client.post("/jobs", json=wanted, headers=headers)
    assert response.status_code == 202, response.text
    job: dict[str, Any] = response.json()
    return job


def ended(client: TestClient, job_id: str, seconds: float = 60) -> dict[str, Any]:
    """The job once it is at its end."""
    deadline = time.monotonic() + seconds
    while (job := client.get(f"/jobs/{job_id}").json())["state"] not in ENDED:
        assert time.monotonic() < deadline, job
        time.sleep(0.01)
    answer: dict[str, Any] = job
    return answer


def events(client: TestClient, job_id: str, **headers: str) -> list[dict[str, Any]]:
    """All events from there on, each with the id it was sent under."""
    text = client.get(f"/jobs/{job_id}/events", headers=headers).text
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
        if lines.get("data", "[DONE]") != "[DONE]":
            found.append(json.loads(lines["data"]) | {"id": lines.get("id")})
    return found
