"""Answers questions on native kernels, where all that their rows ask for is known to those.

What is not answered here is the reference's to answer; it draws the same tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

import numpy as np
from torch import Tensor

from penstock.decoding.processors import FILTERS, WATERMARK, in_use
from penstock.decoding.processors.biases import biases_of, forbidden_words
from penstock.decoding.processors.filters import COLDEST
from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Answer, Question
from penstock.decoding.strategies.interface import Argmax, Draw, Probe, Top
from penstock.ops.choices import UNCHANGED, Changes, Choices, Chooser, Kind, Rules
from penstock.types import DecodingParams

LOOK_BACK = {
    "repetition_penalty",
    "frequency_penalty",
    "presence_penalty",
    "no_repeat_ngram_size",
}
OF_THE_PROMPT = {"encoder_repetition_penalty", "encoder_no_repeat_ngram_size"}
EDITS = {
    "logit_bias",
    "sequence_bias",
    "bad_words",
    "min_length",
    "min_new_tokens",
    "suppress_tokens",
    "begin_suppress_tokens",
}
DRAWN = {"temperature", "top_k", "top_p", "min_p", "typical_p"}
IDLE = {"constraint"}  # always in use, and at work only where a row says so
KNOWN = LOOK_BACK | OF_THE_PROMPT | EDITS | DRAWN | IDLE
FOR_DRAWS_ONLY = {processor.name for processor in FILTERS} - {WATERMARK.name}


@dataclass(frozen=True, slots=True)
class Way:
    """How rows with the same parameters are put to the kernels."""

    params: DecodingParams
    packed: Mapping[Kind, bytes]  # the kinds of need that they can answer
    looks_back: bool
    reads_prompt: bool
    has_edits: bool  # beside the least number of new tokens


_WAYS: dict[int, Way] = {}  # by the parameters' identity, as the processors in use
MAX_KNOWN = 1024


def answer_natively(
    logits: Tensor, questions: Sequence[Question], chooser: Chooser
) -> dict[int, Answer]:
    """The answers by place, as far as the kernels know how."""
    if not chooser.can_read(logits):
        return {}
    choices, asked = Choices(), []
    for i, question in enumerate(questions):
        if _add(choices, i, question, logits.shape[-1]):
            asked.append(i)
    if not asked:
        return {}
    chosen = chooser.choose(logits, choices)
    answers: dict[int, Answer] = {}
    start = 0
    for i, end, is_answered in zip(asked, chosen.ends, chosen.is_answered, strict=True):
        if is_answered:
            need = questions[i].need
            token_ids = tuple(chosen.token_ids[start:end])
            if isinstance(need, Draw):
                answers[i] = Answer(_for_each_stream(token_ids, need))
            elif isinstance(need, Argmax):
                answers[i] = Answer(token_ids)
            else:
                answers[i] = Answer(token_ids, tuple(chosen.values[start:end]))
        start = end
    return answers


def logprobs(
    logits: Tensor, wanted: Sequence[Sequence[int]], counts: Sequence[int], chooser: Chooser
) -> tuple[list[list[float]], list[tuple[tuple[int, float], ...]]] | None:
    """The log-probabilities of each row's wanted tokens, and so many of its likeliest with theirs.

    `None` where the kernels cannot read the rows, or find no numbers in them.
    """
    if not chooser.can_read(logits):
        return None
    choices = Choices()
    for row, count in enumerate(counts):
        choices.add(row, PLAIN_TOP, min(count, logits.shape[-1]))
    chosen = chooser.choose(logits, choices)
    if not all(chosen.is_answered):
        return None
    pairs = list(zip(chosen.token_ids, chosen.values, strict=True))
    starts = [0, *chosen.ends]
    best = [tuple(pairs[a:b]) for a, b in pairwise(starts)]
    found = _at(logits, chosen.wholes, wanted)
    for values, token_ids, known in zip(found, wanted, map(dict, best), strict=True):
        for i, token_id in enumerate(token_ids):
            if token_id in known:  # with another last digit: one token, one number
                values[i] = known[token_id]
    return found, best


def _at(
    logits: Tensor, wholes: Sequence[float], wanted: Sequence[Sequence[int]]
) -> list[list[float]]:
    """The log-probabilities of wanted tokens where each row's sum of exponentials is known."""
    rows = [row for row, token_ids in enumerate(wanted) for _ in token_ids]
    columns = [token_id for token_ids in wanted for token_id in token_ids]
    if not rows:
        return [[] for _ in wanted]
    whole = np.array(wholes, dtype=np.float32)
    found = iter((logits.numpy()[rows, columns] - whole[rows]).tolist())
    return [list(islice(found, len(token_ids))) for token_ids in wanted]


PLAIN_TOP = Rules().packed(Kind.TOP)


def _add(choices: Choices, place: int, question: Question, vocab_size: int) -> bool:
    """Put a question to the kernels; whether they know how to answer it."""
    row = question.row
    way = _way(row.params)
    kind, count = _kind_of(question, vocab_size)
    if kind is None or row.allowed is not None:
        return False
    packed = way.packed.get(kind)
    if packed is None or (way.reads_prompt and row.source_token_ids is not None):
        return False
    uniforms = question.uniforms if kind is Kind.DRAW else ()
    choices.add(place, packed, count, uniforms, _changes(row, way))
    return True


def _changes(row: Row, way: Way) -> Changes:
    is_short = row.num_generated < row.min_new_tokens
    if not (is_short or way.looks_back or way.has_edits):
        return UNCHANGED
    return Changes(
        token_ids=row.token_ids if way.looks_back else (),
        num_generated=row.num_generated if way.looks_back else 0,
        biases=_biases(row) if way.has_edits else (),
        forbidden=_forbidden(row, way, is_short=is_short),
    )


def _kind_of(question: Question, vocab_size: int) -> tuple[Kind | None, int]:
    """What the kernels call a need, and how many answers it has."""
    match question.need:
        case Draw():
            is_greedy = question.row.params.temperature == 0
            return (Kind.ARGMAX, 1) if is_greedy else (Kind.DRAW, len(question.uniforms))
        case Argmax():
            return Kind.ARGMAX, 1
        case Top(count, named) if not named:
            return Kind.TOP, min(count, vocab_size)
        case Probe(count):
            return Kind.PROBE, min(count, vocab_size)
        case _:
            return None, 0


def _for_each_stream(token_ids: tuple[int, ...], draw: Draw) -> tuple[int, ...]:
    """What was drawn, or the likeliest token for every stream."""
    return token_ids * len(draw.streams) if len(token_ids) < len(draw.streams) else token_ids


def _way(params: DecodingParams) -> Way:
    known = _WAYS.get(id(params))
    if known is None or known.params is not params:
        if len(_WAYS) >= MAX_KNOWN:
            _WAYS.clear()
        known = _WAYS[id(params)] = _way_of(params)
    return known


def _way_of(params: DecodingParams) -> Way:
    names = in_use(params)
    rules = _rules(params)
    kinds: tuple[Kind, ...] = ()
    if not params.processor_order and names - FOR_DRAWS_ONLY <= KNOWN:
        kinds = tuple(kind for kind in Kind if kind is not Kind.DRAW or names <= KNOWN)
    return Way(
        params=params,
        packed={kind: rules.packed(kind) for kind in kinds},
        looks_back=bool(names & (LOOK_BACK | OF_THE_PROMPT)),
        reads_prompt=bool(names & OF_THE_PROMPT),
        has_edits=bool(names & (EDITS - {"min_new_tokens"})),
    )


def _rules(params: DecodingParams) -> Rules:
    return Rules(
        frequency_penalty=params.frequency_penalty,
        presence_penalty=params.presence_penalty,
        prompt_penalty=1 / params.encoder_repetition_penalty,
        repetition_penalty=params.repetition_penalty,
        temperature=max(params.temperature, COLDEST),
        top_p=params.top_p,
        min_p=params.min_p,
        typical_p=params.typical_p,
        ngram_size=params.no_repeat_ngram_size,
        prompt_ngram_size=params.encoder_no_repeat_ngram_size,
        top_k=params.top_k,
    )


def _biases(row: Row) -> list[tuple[int, float]]:
    return [*biases_of(row).items(), *dict(row.params.logit_bias).items()]


def _forbidden(row: Row, way: Way, *, is_short: bool) -> list[int]:
    """What words and lengths forbid, in any order: forbidden stays forbidden."""
    params = row.params
    forbidden = [*row.eos_token_ids] if is_short or len(row.token_ids) < params.min_length else []
    if not way.has_edits:
        return forbidden
    forbidden += [*forbidden_words(row), *params.suppress_tokens]
    if row.num_generated == 0:
        forbidden += params.begin_suppress_tokens
    return forbidden
