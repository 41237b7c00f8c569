"""What contenders are given and what they give back: prompts in, the moment of every token out.

Plain values that cross a pipe as JSON. Knows no contender and no figure.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A prompt in both forms: engines take token ids, servers take text."""

    token_ids: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Streams that each write `new_tokens` tokens, greedily, with the end token suppressed.

    Stream `i` is submitted as soon as the first stream has written `arrivals[i]` tokens.
    """

    prompts: tuple[Prompt, ...]
    arrivals: tuple[int, ...]
    new_tokens: int
    num_beams: int = 1

    @property
    def all_at_once(self) -> bool:
        return not any(self.arrivals)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream as it was seen: seconds on the contender's clock."""

    submitted: float
    moments: tuple[float, ...]  # one per token
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What a contender says of itself once its model is loaded."""

    detail: str
    weight_bytes: int | None  # read for every token of one stream, where this is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One load carried out. The peak is that of the process that holds the model, so far."""

    streams: tuple[Stream, ...]
    peak_bytes: int | None


def to_line(value: Load | About | Run) -> str:
    return json.dumps(asdict(value), separators=(",", ":"))


def load_from(line: str) -> Load:
    fields = json.loads(line)
    prompts = tuple(
        Prompt(token_ids=tuple(p["token_ids"]), text=p["text"]) for p in fields["prompts"]
    )
    return Load(
        prompts=prompts,
        arrivals=tuple(fields["arrivals"]),
        new_tokens=fields["new_tokens"],
        num_beams=fields["num_beams"],
    )


def about_from(line: str) -> About:
    return About(**json.loads(line))


def run_from(line: str) -> Run:
    return run_of(json.loads(line))


def run_of(fields: Mapping[str, Any]) -> Run:
    """A run from the fields that JSON keeps of it."""
    streams = tuple(
        Stream(
            submitted=s["submitted"],
            moments=tuple(s["moments"]),
            token_ids=tuple(s["token_ids"]),
        )
        for s in fields["streams"]
    )
    return Run(streams=streams, peak_bytes=fields["peak_bytes"])
