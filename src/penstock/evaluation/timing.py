"""The stage that measures time: some prompts one after another, as one user would wait for them.

And memory: that of the weights, and of this process at its highest.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from penstock.evaluation.examples import Example
from penstock.evaluation.progress import Watcher
from penstock.evaluation.subject import Answered, Subject
from penstock.evaluation.writing import fitting, with_prompt
from penstock.types import GenerationRequest

NUM_TIMED = 8  # prompts
NUM_NEW = 32  # tokens of each
DEFAULT_PROMPT = "Once upon a time"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedText:
    """How long one text took, in seconds, and how many tokens came after the first."""

    row: int
    first_token_seconds: float
    other_seconds: float
    num_others: int


def time_texts(subject: Subject, examples: Sequence[Example], watcher: Watcher) -> list[TimedText]:
    """Write to some of the prompts alone. What comes first is not counted: it warms up."""
    prompts = [e for e in map(with_prompt, examples) if e.prompt][:NUM_TIMED]
    prompts = prompts or [Example(row=1, prompt=DEFAULT_PROMPT)]
    watcher.begin("measuring time", len(prompts))
    requests = [_request(subject, prompts[0], 0)]
    requests += [_request(subject, prompt, n) for n, prompt in enumerate(prompts, 1)]
    timed: list[TimedText] = []
    for number, answered in enumerate(subject.ask(requests, in_flight=1)):
        if number:
            timed.append(_timed(prompts[number - 1].row, answered))
            watcher.done(1, timed[-1].num_others + 1)
    return timed


def peak_memory_bytes() -> int | None:
    """The most memory that this process has had at once; None where it cannot be told."""
    try:
        import resource  # noqa: PLC0415  # not everywhere
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _request(subject: Subject, example: Example, number: int) -> GenerationRequest:
    return GenerationRequest(
        request_id=f"evaluate-time-{number}",
        prompt=fitting(subject, example.prompt, NUM_NEW),
        model=subject.model.id,
        adapter=subject.adapter,
        strategy="greedy",
        max_new_tokens=NUM_NEW,
        tenant=f"timing {number}",  # so that nothing is known of the prompt beforehand
    )


def _timed(row: int, answered: Answered) -> TimedText:
    assert answered.finished is not None
    timings = answered.finished.timings
    return TimedText(
        row=row,
        first_token_seconds=timings.first_token_seconds,
        other_seconds=timings.generation_seconds,
        num_others=max(0, answered.finished.num_completion_tokens - 1),
    )
