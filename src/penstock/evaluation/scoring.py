"""The stage that has a model foretell texts: how surprised it is by each, token by token."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from penstock.evaluation.examples import Example
from penstock.evaluation.progress import Watcher
from penstock.evaluation.subject import Answered, Subject
from penstock.evaluation.windows import check_stride, windows
from penstock.evaluation.writing import with_prompt
from penstock.types import GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredText:
    """How surprising one text was in all, and what that may be divided by."""

    row: int
    nats: float
    num_tokens: int
    num_words: int
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """How texts are scored. With a start token a text's first token is scored too."""

    stride: int | None = None
    with_start: bool = True


@dataclass(frozen=True, slots=True)
class Piece:
    """Some tokens of a row, of which all but the first `num_given` are scored.

    With a `source` an encoder reads that, and the tokens are what a decoder answers.
    """

    row: int
    token_ids: tuple[int, ...]
    num_given: int
    source: str = ""


def score_texts(
    subject: Subject, examples: Sequence[Example], scoring: Scoring, watcher: Watcher
) -> list[ScoredText]:
    """Score every text that has a token to score; of a row with a prompt, its first reference."""
    check_stride(scoring.stride, subject.model.context_length)
    scored = {e.row: target for e in examples if (target := _target(subject, e)).strip()}
    rows = [e for e in examples if e.row in scored]
    pieces = [piece for e in rows for piece in _pieces(subject, e, scoring)]
    nats = dict.fromkeys(scored, 0.0)
    num_tokens = dict.fromkeys(scored, 0)
    watcher.begin("scoring texts", len(pieces))
    for piece, logprobs in _logprobs(subject, pieces):
        nats[piece.row] -= math.fsum(logprobs)
        num_tokens[piece.row] += len(logprobs)
        watcher.done(1, len(logprobs))
    return [
        ScoredText(
            row=row,
            nats=nats[row],
            num_tokens=num_tokens[row],
            num_words=len(text.split()),
            num_bytes=len(text.encode()),
        )
        for row, text in scored.items()
        if num_tokens[row]
    ]


def _target(subject: Subject, example: Example) -> str:
    """What is scored of a row: its text, or its answer where it is one to a prompt."""
    if example.text and subject.model.continues_prompt:
        return example.text
    return next(iter(with_prompt(example).references), "")


def _pieces(subject: Subject, example: Example, scoring: Scoring) -> Iterator[Piece]:
    target = _target(subject, example)
    if not subject.model.continues_prompt:
        yield answer_piece(subject, with_prompt(example), target)
        return
    start = subject.start_token_id() if scoring.with_start else None
    mark = () if start is None else (start,)
    given, whole = mark, (*mark, *subject.tokenize(target))
    if not example.text:
        given = (*mark, *subject.tokenize(example.prompt))
        whole = (*mark, *subject.tokenize(example.prompt + spaced(example.prompt, target)))
    context_length = subject.model.context_length
    for window in windows(len(whole), context_length=context_length, stride=scoring.stride):
        scored_from = max(window.scored_from, min(len(given), len(whole) - 1))
        if scored_from < window.end:
            token_ids = whole[window.start : window.end]
            yield Piece(example.row, token_ids, scored_from - window.start)


def answer_piece(subject: Subject, example: Example, answer: str) -> Piece:
    """An answer as a decoder writes it, its end included, after an encoder has read the prompt."""
    end = subject.end_token_id()
    token_ids = (*subject.tokenize(answer), *(() if end is None else (end,)))
    return Piece(example.row, token_ids[: subject.model.context_length - 1], 0, example.prompt)


def spaced(prompt: str, answer: str) -> str:
    """An answer as it stands after a prompt: a space between them, if there is none."""
    is_apart = not prompt or prompt[-1].isspace() or answer[:1].isspace()
    return answer if is_apart else f" {answer}"


def score_request(subject: Subject, piece: Piece, request_id: str) -> GenerationRequest:
    """What asks for the log-probabilities of a piece's tokens, and writes nothing."""
    return GenerationRequest(
        request_id=request_id,
        prompt=piece.source or piece.token_ids,
        prefix=piece.token_ids if piece.source else (),
        model=subject.model.id,
        adapter=subject.adapter,
        strategy="greedy",
        max_new_tokens=0,
        prompt_logprobs=0,
    )


def scored_logprobs(answered: Answered, piece: Piece) -> list[float]:
    """The log-probabilities of what is scored of it: a decoder's start is not in the piece."""
    assert answered.scored is not None
    first = 0 if piece.source else piece.num_given - 1
    return [token.chosen.logprob for token in answered.scored.logprobs[first:]]


def _logprobs(subject: Subject, pieces: Sequence[Piece]) -> Iterator[tuple[Piece, list[float]]]:
    requests = (
        score_request(subject, piece, f"evaluate-score-{number}")
        for number, piece in enumerate(pieces)
    )
    for answered in subject.ask(requests):
        piece = pieces[int(answered.request_id.rpartition("-")[2])]
        yield piece, scored_logprobs(answered, piece)
