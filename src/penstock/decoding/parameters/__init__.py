"""The catalog of what a user can set, in words a student understands.

The API, the command line, the docs and every control on the page come from here. What is accepted
and what does nothing comes from the fields of `DecodingParams`. Holds no tensors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from penstock.types import LIMITS, NEUTRAL, DecodingParams, Word

Kind = Literal[
    "float",
    "int",
    "bool",
    "strings",
    "seed",
    "names",
    "tokens",  # token ids
    "words",  # each a text or a list of token ids
    "alternatives",  # each a word or a list of words of which one will do
    "token_biases",  # an object: token id to number
    "word_biases",  # a list of pairs: word and number
    "layers",  # "low", "high" or a list of numbers
    "start_and_factor",  # a pair: number of tokens, factor
    "text",
    "prompt",  # a text or a list of token ids
    "texts",
    "json",  # any object
]
Value = float | int | bool | tuple[Any, ...] | None

KINDS: Mapping[object, Kind] = {
    float: "float",
    int: "int",
    int | None: "int",
    bool: "bool",
    tuple[str, ...]: "names",
    tuple[int, ...]: "tokens",
    tuple[Word, ...]: "words",
    tuple[tuple[Word, ...], ...]: "alternatives",
    tuple[tuple[int, float], ...]: "token_biases",
    tuple[tuple[Word, float], ...]: "word_biases",
    tuple[int, float] | None: "start_and_factor",
}
KIND_OF: Mapping[str, Kind] = {
    f.name: f.metadata.get("kind") or KINDS[f.type] for f in fields(DecodingParams)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One control: its range, its default and what it does.

    `minimum` to `maximum` is what is accepted, `offered_minimum` to `offered_maximum` what a
    slider offers. At its `neutral` value a parameter does nothing. The `main` group is always in
    view, `more` one press away, and `advanced` another, under the heading of its `section`.
    """

    name: str
    label: str
    kind: Kind
    description: str
    effect: str
    default: Value = None
    neutral: Value = None
    minimum: float | None = None
    maximum: float | None = None
    offered_minimum: float | None = None
    offered_maximum: float | None = None
    step: float | None = None
    scale: Literal["linear", "log"] = "linear"
    group: Literal["main", "more", "advanced"] = "advanced"
    section: str | None = None
    unit: str | None = None


def decoding(name: str, *, offered: tuple[float, float] | None = None, **words: Any) -> Parameter:
    """The catalog entry of a field of `DecodingParams`, which has the limits and the neutral value.

    An empty list is no value at all, as far as a user is concerned.
    """
    neutral = NEUTRAL[name] if NEUTRAL[name] != () else None
    low, high = LIMITS.get(name, (None, None))
    offered_low, offered_high = offered or (None, None)
    return Parameter(
        name=name,
        kind=KIND_OF[name],
        neutral=neutral,
        minimum=low,
        maximum=high,
        offered_minimum=offered_low,
        offered_maximum=offered_high,
        **{"default": neutral, **words},
    )


def main(parameter: Parameter, **changes: Any) -> Parameter:
    """`parameter` shown among a strategy's main controls, with its own default, words or range."""
    return replace(parameter, group="main", **changes)


def with_own(parameters: tuple[Parameter, ...], *own: Parameter) -> tuple[Parameter, ...]:
    """`parameters`, with a strategy's own first and in the place of their namesakes."""
    names = {parameter.name for parameter in own}
    return (*own, *(p for p in parameters if p.name not in names))


def defaults(parameters: tuple[Parameter, ...]) -> Mapping[str, Value]:
    """The default of each parameter that has one."""
    return {p.name: p.default for p in parameters if p.default is not None}
