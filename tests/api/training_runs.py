"""Asking a server to train, over HTTP, and waiting for what comes of it."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2

STORY = "Once upon a time there was a girl who had a red ball. The dog ran after it. "
ENDED = ("succeeded", "failed", "cancelled")
RECIPE: dict[str, Any] = {
    "name": "small",
    "model": {"vocab_size": 257, "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 32},
    "block_size": 32,
    "batch_size": 2,
    "max_steps": 120,
    "learning_rate": 0.01,
    "logging_steps": 10,
    "eval_steps": 60,
    "save_steps": 40,
    "validation_batches": 1,
    "sample_tokens": 4,
}


def write_stories(data_dir: Path) -> None:
    """Put a data set into a data directory."""
    (data_dir / "datasets").mkdir()
    (data_dir / "datasets" / "stories.txt").write_text(STORY * 20)


def started(client: httpx2.Client, serve_as: str | None = None, **changes: Any) -> dict[str, Any]:
    """A run of the recipe with these changes."""
    recipe = {"data": [{"dataset": "stories"}]} | RECIPE | changes
    response = client.post("/training/runs", json={"recipe": recipe, "serve_as": serve_as})
    assert response.status_code == 202, response.text
    answer: dict[str, Any] = response.json()
    return answer


def waited(
    client: httpx2.Client, run: dict[str, Any], is_there: Callable[[dict[str, Any]], Any]
) -> dict[str, Any]:
    """The run once that is true of it."""
    deadline = time.monotonic() + 240
    while not is_there(run):
        assert time.monotonic() < deadline, run
        time.sleep(0.1)
        run = client.get(f"/training/runs/{run['id']}").json()
    return run


def ended(client: httpx2.Client, run: dict[str, Any]) -> dict[str, Any]:
    """The run once it has ended."""
    return waited(client, run, lambda found: found["state"] in ENDED)


def has_begun(run: dict[str, Any]) -> bool:
    """Whether it has taken a step."""
    return bool((run["progress"] or {}).get("loss"))
