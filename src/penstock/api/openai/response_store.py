"""Responses that can be gone on from: the latest, in memory, gone when the server stops.

Used on the event loop alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from penstock.api.latest import MAX_CHARACTERS, MAX_ENTRIES, Latest
from penstock.errors import ResponseNotFound
from penstock.text.chat import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A response as it was given, what it was given for, and the whole conversation so far.

    Instructions are no part of the conversation: each response has its own.
    """

    response: dict[str, Any]
    input: tuple[Message, ...]
    conversation: tuple[Message, ...]

    @property
    def num_characters(self) -> int:
        """About how much memory it takes."""
        return sum(len(message.content) for message in self.conversation)


class ResponseStore:
    """Keeps so many responses of so many characters in all; the oldest go first."""

    def __init__(
        self, *, max_responses: int = MAX_ENTRIES, max_characters: int = MAX_CHARACTERS
    ) -> None:
        self._latest = Latest[Stored](
            lambda stored: stored.num_characters,
            max_entries=max_responses,
            max_characters=max_characters,
        )

    def put(self, stored: Stored) -> None:
        """Keep a response, and let the oldest go where there are too many."""
        self._latest.put(stored.response["id"], stored)

    def get(self, response_id: str) -> Stored:
        """The response. Raises `ResponseNotFound`."""
        stored = self._latest.get(response_id)
        if stored is None:
            raise ResponseNotFound(
                f"There is no response {response_id[:80]!r}.",
                f"The latest {self._latest.max_entries} are kept until the server stops, unless "
                "store is false.",
                param="response_id",
            )
        return stored

    def remove(self, response_id: str) -> None:
        """Forget a response. Raises `ResponseNotFound`."""
        self.get(response_id)
        self._latest.remove(response_id)


def input_items(response_id: str, messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Messages as the items of an input."""
    return [
        {
            "id": f"{response_id}-in-{number}",
            "type": "message",
            "status": "completed",
            "role": message.role,
            "content": [_part(message)],
        }
        for number, message in enumerate(messages)
    ]


def _part(message: Message) -> dict[str, Any]:
    if message.role == "assistant":
        return {"type": "output_text", "text": message.content, "annotations": [], "logprobs": []}
    return {"type": "input_text", "text": message.content}


def _store(request: Request) -> ResponseStore:
    store: ResponseStore = request.app.state.responses
    return store


StoreDep = Annotated[ResponseStore, Depends(_store)]
