"""What is not as it was when a text was written. Pure."""

from collections.abc import Iterator
from typing import Any

from penstock.api.playground.answers import Answer
from penstock.api.receipts.receipt import Circumstances, Decided
from penstock.errors import ReplayDiffers

DIGITS_SHOWN = 12


class DifferenceAnswer(Answer):
    """Something a text depends on that has changed."""

    name: str
    then: str
    now: str


def differences(decided: Decided, now: Circumstances) -> list[DifferenceAnswer]:
    """All circumstances that have changed since, by name.

    Of the adapter and the attribute more is known once there is a text: then `now` is all that
    decided it.
    """
    names = set(Circumstances.model_fields)
    if isinstance(now, Decided):
        names |= {"adapter_digest", "attribute_digest"}
    then = dict(_flat(decided.model_dump(include=names)))
    present = dict(_flat(now.model_dump(include=names)))
    return [
        DifferenceAnswer(name=name, then=then.get(name, ""), now=present.get(name, ""))
        for name in sorted(then.keys() | present.keys())
        if then.get(name) != present.get(name)
    ]


def refusal(differing: list[DifferenceAnswer]) -> ReplayDiffers:
    """The refusal that says what differs."""
    told = "; ".join(f"{d.name} was {_short(d.then)}, is {_short(d.now)}" for d in differing)
    return ReplayDiffers(
        f"The text may come out another than it was: {told}.",
        "Bring these back, or send allow_differences=true to see what comes now.",
        param="allow_differences",
    )


def _flat(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from ((f"{name}.{inner}", entry) for inner, entry in value.items())
        else:
            yield name, value


def _short(value: str) -> str:
    """A value as a message shows it: a digest by its beginning."""
    is_digest = len(value) == 64
    return repr(value[:DIGITS_SHOWN]) if is_digest else repr(value)
