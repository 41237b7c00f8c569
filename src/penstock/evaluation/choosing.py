"""The stage that has a model choose: how likely it finds each of several answers to a prompt."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from penstock.evaluation.examples import Example
from penstock.evaluation.progress import Watcher
from penstock.evaluation.scoring import (
    Piece,
    answer_piece,
    score_request,
    scored_logprobs,
    spaced,
)
from penstock.evaluation.subject import Subject
from penstock.types import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """One row's answers: the log-probability and the size of each, and the place of the right."""

    row: int
    logprobs: tuple[float, ...]
    num_bytes: tuple[int, ...]
    answer: int

    @property
    def likeliest(self) -> int:
        """The place of the answer with the highest log-probability."""
        return max(range(len(self.logprobs)), key=self.logprobs.__getitem__)

    @property
    def likeliest_per_byte(self) -> int:
        """The same where long answers are no less likely for being long."""
        per_byte = [p / n for p, n in zip(self.logprobs, self.num_bytes, strict=True)]
        return max(range(len(per_byte)), key=per_byte.__getitem__)


def choose_answers(subject: Subject, examples: Sequence[Example], watcher: Watcher) -> list[Choice]:
    """Score every choice of every row that has some."""
    asked = {e.row: e for e in examples if e.answer is not None}
    watcher.begin("choosing answers", sum(len(e.choices) for e in asked.values()))
    logprobs = {row: [0.0] * len(e.choices) for row, e in asked.items()}
    pieces: dict[str, Piece] = {}
    for answered in subject.ask(_requests(subject, asked.values(), pieces)):
        row, place = map(int, answered.request_id.split("-")[-2:])
        scored = scored_logprobs(answered, pieces.pop(answered.request_id))
        logprobs[row][place] = sum(scored)
        watcher.done(1, len(scored))
    return [
        Choice(
            row=row,
            logprobs=tuple(logprobs[row]),
            num_bytes=tuple(len(choice.encode()) for choice in example.choices),
            answer=example.answer,
        )
        for row, example in asked.items()
        if example.answer is not None
    ]


def _requests(
    subject: Subject, examples: Iterable[Example], pieces: dict[str, Piece]
) -> Iterator[GenerationRequest]:
    """A request for each choice; what it scores is noted in `pieces`."""
    for example in examples:
        for place, choice in enumerate(example.choices):
            request_id = f"evaluate-choose-{example.row}-{place}"
            pieces[request_id] = _piece(subject, example, choice)
            yield score_request(subject, pieces[request_id], request_id)


def _piece(subject: Subject, example: Example, choice: str) -> Piece:
    if not subject.model.continues_prompt:
        return answer_piece(subject, example, choice)
    begin = subject.start_token_id()
    mark = () if begin is None else (begin,)
    given = (*mark, *subject.tokenize(example.prompt))
    whole = (*mark, *subject.tokenize(example.prompt + spaced(example.prompt, choice)))
    cut = max(0, len(whole) - subject.model.context_length)  # of a prompt too long its end counts
    return Piece(example.row, whole[cut:], max(1, min(len(given), len(whole) - 1) - cut))
