"""Takes a model's answer apart, as it comes: text, then calls with their arguments.

What is certain is given out at once. Knows the form of `tool_calls.py`, and no schema.
"""

from dataclasses import dataclass

from penstock.text.tool_calls import ARGUMENTS, NAME, TRIGGER


@dataclass(frozen=True, slots=True)
class Said:
    """A piece of the text beside the calls."""

    text: str


@dataclass(frozen=True, slots=True)
class Called:
    """Call number `index` begins."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class Argued:
    """A piece of the JSON of a call's arguments."""

    index: int
    text: str


Piece = Said | Called | Argued


class CallReader:
    """Reads one answer, however it is cut into pieces."""

    def __init__(self) -> None:
        self._pending = ""  # what is not certain yet
        self._num_calls = 0
        self._arguments: _Object | None = None
        self._is_in_call = False

    @property
    def num_calls(self) -> int:
        """How many calls have begun, as far as their names are known."""
        return self._num_calls + (self._arguments is not None)

    @property
    def is_in_arguments(self) -> bool:
        """The arguments of the last call are not whole yet."""
        return self._arguments is not None

    def push(self, text: str) -> list[Piece]:
        """Take more of the answer; what became certain with it."""
        self._pending += text
        pieces: list[Piece] = []
        while (piece := self._next()) is not None:
            pieces.append(piece)
        return pieces

    def finish(self) -> list[Piece]:
        """The answer is over: what is left of its text."""
        rest, self._pending = self._pending, ""
        return [Said(rest)] if rest and not self._is_in_call and not self._num_calls else []

    def _next(self) -> Piece | None:
        if self._arguments is not None:
            return self._more_arguments(self._arguments)
        if self._is_in_call:
            return self._name()
        return self._text()

    def _text(self) -> Said | Called | None:
        """Text up to the next call. Between calls there is nothing but their marks."""
        place = self._pending.find(TRIGGER)
        if place == -1:
            safe = len(self._pending) - _beginning(self._pending, TRIGGER)
            if self._num_calls or not safe:
                return None
            said, self._pending = self._pending[:safe], self._pending[safe:]
            return Said(said)
        said, self._pending = self._pending[:place], self._pending[place + len(TRIGGER) :]
        self._is_in_call = True
        return Said(said) if said and not self._num_calls else self._name()

    def _name(self) -> Called | None:
        """The call's name, once all of it is here."""
        head, found, rest = self._pending.partition(ARGUMENTS)
        if not found:
            return None
        self._pending = rest
        self._arguments = _Object()
        return Called(self._num_calls, head.partition(NAME)[2])

    def _more_arguments(self, arguments: "_Object") -> Argued | Called | Said | None:
        if not self._pending:
            return None
        length = arguments.length_in(self._pending)
        piece, self._pending = self._pending[:length], self._pending[length:]
        index = self._num_calls
        if arguments.is_complete:
            self._num_calls += 1
            self._arguments = None
            self._is_in_call = False
        return Argued(index, piece)


class _Object:
    """Finds the end of a JSON object that comes in pieces."""

    def __init__(self) -> None:
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self.is_complete = False

    def length_in(self, text: str) -> int:
        """How much of `text` belongs to the object."""
        for i, character in enumerate(text):
            self._take(character)
            if self.is_complete:
                return i + 1
        return len(text)

    def _take(self, character: str) -> None:
        if self._is_in_string:
            ends = character == '"' and not self._is_escaped
            self._is_escaped = character == "\\" and not self._is_escaped
            self._is_in_string = not ends
        elif character == '"':
            self._is_in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self.is_complete = self._depth == 0


def _beginning(text: str, wanted: str) -> int:
    """How many characters at the end of `text` could begin `wanted`."""
    most = min(len(text), len(wanted) - 1)
    return next((n for n in range(most, 0, -1) if wanted.startswith(text[-n:])), 0)
