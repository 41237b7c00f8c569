"""What is asked of rows of logits, and what comes back: plain numbers."""

from dataclasses import dataclass
from typing import NamedTuple

from penstock.decoding.processors.interface import Row
from penstock.decoding.strategies.interface import Need
from penstock.decoding.trace import TracedStage


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is wanted from one row of logits."""

    row: Row
    need: Need
    uniforms: tuple[float, ...] = ()  # one number in [0, 1) per stream of a `Draw`
    noise_key: int = 0  # what the random numbers of a `DrawDistinct` are made from
    num_logprobs: int | None = None  # report the model's own log-probabilities beside the answer
    num_traced: int | None = None  # report every step of the chain, each with so many candidates
    named: tuple[int, ...] = ()  # tokens that are reported whatever their place


class Answer(NamedTuple):
    """The tokens a need asked for; a tuple, since every token needs one.

    `logprobs` are after processing for `Top`, `Probe` and `DrawDistinct`, which has `keys` too, and
    before it for a `Draw` that is scored; else there are none. `surprises`, in bits, are those of
    what was drawn among what could be, and only where the parameters want them.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...] = ()
    keys: tuple[float, ...] = ()
    surprises: tuple[float, ...] = ()
    report: "Report | None" = None


class Report(NamedTuple):
    """The model's own log-probabilities, before any processor: of the answer and of the best."""

    chosen: tuple[float, ...]  # one per token of the answer
    top: tuple[tuple[int, float], ...]
    stages: tuple[TracedStage, ...] = ()
    named: tuple[tuple[int, float], ...] = ()
