"""Makes batches through OpenAI's own client and reads what they wrote."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import openai
from openai.types import Batch

ENDED = {"completed", "failed", "expired", "cancelled"}
COMPLETIONS = "/v1/completions"


def line(
    custom_id: str, body: Mapping[str, Any] | list[Any], url: str = COMPLETIONS, **changes: Any
) -> dict[str, Any]:
    """A line of an input file."""
    return {"custom_id": custom_id, "method": "POST", "url": url, "body": body} | changes


def prompt(text: str, **more: Any) -> dict[str, Any]:
    """What a completion is asked with, that comes out the same each time."""
    body = {"model": "penstock-tiny", "prompt": text, "max_tokens": 4, "temperature": 0}
    return body | more


def uploaded(client: openai.OpenAI, lines: Sequence[Any]) -> str:
    """The id of a file with these lines; those that are bytes as they are."""
    texts = [x if isinstance(x, bytes) else json.dumps(x).encode() for x in lines]
    return client.files.create(file=("in.jsonl", b"\n".join(texts)), purpose="batch").id


def started(client: openai.OpenAI, lines: Sequence[Any], url: Any = COMPLETIONS) -> Batch:
    """A batch of these lines."""
    file_id = uploaded(client, lines)
    return client.batches.create(input_file_id=file_id, endpoint=url, completion_window="24h")


def ended(client: openai.OpenAI, batch: Batch, seconds: float = 120) -> Batch:
    """The batch once it is at its end."""
    deadline = time.monotonic() + seconds
    while (batch := client.batches.retrieve(batch.id)).status not in ENDED:
        assert time.monotonic() < deadline, batch
        time.sleep(0.02)
    return batch


def num_completed(client: openai.OpenAI, batch: Batch) -> int:
    """How many requests of the batch are answered by now."""
    counts = client.batches.retrieve(batch.id).request_counts
    return 0 if counts is None else counts.completed


def written(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of an output or error file; none of none."""
    if file_id is None:
        return []
    return [json.loads(text) for text in client.files.content(file_id).text.splitlines()]
