"""A field that pydantic refused, said in our words: its name, its value and what is accepted."""

import json
from collections.abc import Mapping
from typing import Any

from penstock.api.playground.schemas import RANGES
from penstock.api.playground.wire_types import BRANCH
from penstock.errors import InvalidParameter

LONGEST_SHOWN = 60
WANTED = {
    "string_type": "Use a string.",
    "int_type": "Use a whole number.",
    "float_type": "Use a number.",
    "bool_type": "Use true or false.",
    "list_type": "Use a list.",
    "model_attributes_type": "Use an object.",
    "dict_type": "Use an object.",
    "none_required": "Leave it out.",
    "finite_number": "Use a finite number.",
    "int_from_float": "Use a whole number.",
}
FIXED = {
    "missing": ("{name} is missing.", "Send it."),
    "extra_forbidden": (
        "{name} is not a field of this request.",
        "Remove it, or see /docs for the fields.",
    ),
    "string_unicode": ("{name} holds half a surrogate pair.", "Send valid Unicode."),
    "nul": ("{name} holds a NUL character (U+0000).", "Remove it."),
}
LENGTH_ERRORS = {"too_long", "too_short", "string_too_long", "string_too_short"}
RANGE_ERRORS = {"greater_than_equal", "less_than_equal", "greater_than", "less_than"}


Ranges = Mapping[str, tuple[float, float]]


def explain(error: Mapping[str, Any], ranges: Ranges = RANGES) -> InvalidParameter:
    """The error for one entry of pydantic's list. `ranges` are those of the request's fields."""
    param = _param(error)
    kind = error["type"]
    problem, hint = _words(kind, param or "The body", error, ranges)
    return InvalidParameter(problem, hint, param=param)


def _words(kind: str, name: str, error: Mapping[str, Any], ranges: Ranges) -> tuple[str, str]:
    value = shown(error.get("input"))
    if kind in RANGE_ERRORS:
        return f"{name}={value} is out of range.", _range_hint(name, error["ctx"], ranges)
    if kind in LENGTH_ERRORS:
        return _length_words(name, error)
    if kind in WANTED:
        return f"{name}={value} is of the wrong type.", WANTED[kind]
    if kind in FIXED:
        problem, hint = FIXED[kind]
        return problem.format(name=name), hint
    return f"{name}={value} cannot be used.", f"{error['msg']}."


def _range_hint(name: str, context: Mapping[str, Any], ranges: Ranges) -> str:
    low, high = ranges.get(name.rpartition(".")[2], (None, None))
    if low is not None and high is not None:
        return f"Use {low} to {high}."
    words = {"ge": "at least", "le": "at most"}
    return f"Use {' and '.join(f'{words[k]} {v}' for k, v in context.items() if k in words)}."


def _length_words(name: str, error: Mapping[str, Any]) -> tuple[str, str]:
    value, context = error["input"], error["ctx"]
    unit = "characters" if isinstance(value, str) else "entries"
    if "max_length" in context:
        return f"{name} has {len(value)} {unit}.", f"Use at most {context['max_length']}."
    if not value:
        return f"{name} is empty.", "Give at least one character." if value == "" else "Give one."
    return f"{name} has {len(value)} {unit}.", f"Use at least {context['min_length']}."


def _param(error: Mapping[str, Any]) -> str | None:
    """The field's name, with its place when it sits in a list: `columns.1.top_p`."""
    parts = [str(part) for part in error["loc"]]
    if parts and parts[0] in ("body", "query", "path", "header"):
        del parts[0]
    parts = [part for part in parts if not part.startswith(BRANCH)]
    return ".".join(parts)[:200] or None


def shown(value: object) -> str:
    """A value as the client wrote it, cut short."""
    text = (
        json.dumps(value, default=repr) if value is None or isinstance(value, bool) else repr(value)
    )
    return text if len(text) <= LONGEST_SHOWN else text[:LONGEST_SHOWN] + "…"
