"""What helps against a text that goes round in circles, by how it was written. Pure."""

from collections.abc import Iterator
from typing import Any

from penstock.api.playground.answers import LoopAnswer
from penstock.decoding.strategies.interface import Strategy
from penstock.evaluation.loops import Loop
from penstock.types import DecodingParams

DRY_STRENGTH = 0.8  # what its author suggests
NGRAM_SIZE = 4
WARM = 1.0
Settings = dict[str, Any]


def loop_answer(loop: Loop, strategy: type[Strategy], params: DecodingParams) -> LoopAnswer:
    """A loop as the client is told of it, with what to change."""
    settings = next(_remedies(strategy, params))
    change = " and ".join(f"{name}={value}" for name, value in settings.items())
    return LoopAnswer(
        start=loop.start,
        period=loop.period,
        times=round(loop.times, 1),
        advice=f"From token {loop.start + 1} on the text repeats the same "
        f"{'token' if loop.period == 1 else f'{loop.period} tokens'}. Try {change}.",
        settings=settings,
    )


def _remedies(strategy: type[Strategy], params: DecodingParams) -> Iterator[Settings]:
    """What has not been tried yet, the gentlest first."""
    names = {parameter.name for parameter in strategy.parameters}
    if "dry_multiplier" in names and params.dry_multiplier == 0:
        yield {"dry_multiplier": DRY_STRENGTH}
    if "no_repeat_ngram_size" in names and params.no_repeat_ngram_size == 0:
        yield {"no_repeat_ngram_size": NGRAM_SIZE}
    if "temperature" in names and 0 < params.temperature < WARM:
        yield {"temperature": WARM}
    yield {"strategy": "sampling", "dry_multiplier": DRY_STRENGTH}
