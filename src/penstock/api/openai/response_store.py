"""Responses that their owner can go on from: the latest, in memory, gone when the server stops.

Used on the event loop alone.
"""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from penstock.api.latest import MAX_CHARACTERS, MAX_ENTRIES, Latest
from penstock.api.owner import name_for_owner
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
        texts = [message.content for message in self.conversation]
        calls = [call for message in self.conversation for call in message.tool_calls]
        return sum(map(len, (*texts, *(call.arguments for call in calls))))


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
        self._latest.put(name_for_owner(stored.response["id"]), stored)

    def get(self, response_id: str) -> Stored:
        """The response. Raises `ResponseNotFound`."""
        stored = self._latest.get(name_for_owner(response_id))
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
        self._latest.remove(name_for_owner(response_id))


async def _store(request: Request) -> ResponseStore:
    store: ResponseStore = request.app.state.responses
    return store


StoreDep = Annotated[ResponseStore, Depends(_store)]
