"""Reads what a server sent: event streams into their events."""

import json
from typing import Any

DONE = "[DONE]"


def events_of(text: str) -> list[Any]:
    """The events of a whole stream, `DONE` as a string. Fails on anything else in it."""
    events: list[Any] = []
    for block in text.removesuffix("\n\n").split("\n\n"):
        assert block.startswith("data: ") and "\n" not in block, block
        payload = block.removeprefix("data: ")
        events.append(DONE if payload == DONE else json.loads(payload))
    return events


def texts_of(events: list[Any]) -> dict[int, str]:
    """The token texts of each sequence joined."""
    texts: dict[int, str] = {}
    for event in events:
        if event != DONE and event["event"] == "token":
            texts[event["index"]] = texts.get(event["index"], "") + event["text"]
    return texts
