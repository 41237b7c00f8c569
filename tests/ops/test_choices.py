"""Tokens chosen on native kernels, against the reference: the same, for the same random numbers.

Rounding may differ where a row's cumulative probability comes within a millionth of what it is
compared with, a random number or a filter's limit; none of the rows here does.
"""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
import torch

from penstock.decoding.native import answer_natively
from penstock.decoding.processors.interface import Row
from penstock.decoding.questions import Question
from penstock.decoding.sampler import answer
from penstock.decoding.strategies.interface import Argmax, Draw, Need, Probe, Top
from penstock.errors import EngineFailed
from penstock.ops.choices import Choices, Kind, Rules
from penstock.ops.kernel_ops import KernelOps
from penstock.types import DecodingParams

NUM_BATCHES = 60
VOCAB_SIZES = [31, 32, 33, 255, 257, 1000, 4096]
VALUES: dict[str, list[Any]] = {
    "temperature": [1.0, 0.7, 1.5, 0.2],
    "top_k": [0, 0, 1, 5, 50, 300, 5000],
    "top_p": [1.0, 1.0, 0.9, 0.5, 0.0, 0.999],
    "min_p": [0.0, 0.0, 0.05, 0.5, 1.0],
    "typical_p": [1.0, 1.0, 0.95, 0.3],
    "repetition_penalty": [1.0, 1.3],
    "frequency_penalty": [0.0, 0.5],
    "presence_penalty": [0.0, -0.7],
    "encoder_repetition_penalty": [1.0, 1.0, 1.2],
    "no_repeat_ngram_size": [0, 0, 1, 2, 3],
    "encoder_no_repeat_ngram_size": [0, 0, 2],
    "logit_bias": [(), ((0, 2.5), (2, -3.0))],
    "sequence_bias": [(), (((3, 4), 2.0), ((4,), -1.0))],
    "bad_words": [(), ((2, 5), (6,))],
    "min_length": [0, 30],
    "suppress_tokens": [(), (7,)],
    "begin_suppress_tokens": [(), (8,)],
}
NEEDS: list[Need] = [Draw((0, 1, 2)), Draw((0,)), Argmax(), Top(1), Top(9), Probe(4)]


def make_question(random: Random) -> Question:
    length = random.randint(1, 40)
    need = random.choice(NEEDS)
    num_uniforms = len(need.streams) if isinstance(need, Draw) else 0
    return Question(
        row=Row(
            params=DecodingParams(**{name: random.choice(of) for name, of in VALUES.items()}),
            token_ids=[random.randrange(12) for _ in range(length)],
            num_generated=random.randint(0, length),
            min_new_tokens=random.choice([0, 20]),
            eos_token_ids=frozenset({1}),
        ),
        need=need,
        uniforms=tuple(random.random() for _ in range(num_uniforms)),
    )


def make_logits(random: Random, num_rows: int) -> torch.Tensor:
    """Flat and steep rows, some with many equal logits, some with half of them forbidden."""
    vocab_size = random.choice(VOCAB_SIZES)
    generator = torch.Generator().manual_seed(random.randrange(2**31))
    logits = torch.randn(num_rows, vocab_size, generator=generator)
    logits *= random.choice([0.1, 1.0, 3.0, 8.0])
    if random.random() < 0.3:
        logits = logits.round()
    if random.random() < 0.2:
        logits[:, vocab_size // 2 :] = -torch.inf
    return logits


@pytest.mark.parametrize("seed", range(4))
def test_the_kernels_choose_what_the_reference_chooses(ops: KernelOps, seed: int) -> None:
    random = Random(seed)
    for _ in range(NUM_BATCHES // 4):
        questions = [make_question(random) for _ in range(random.randint(1, 6))]
        logits = make_logits(random, len(questions))

        native = answer_natively(logits, questions, ops.chooser)

        assert native.keys() == set(range(len(questions)))
        for i, expected in enumerate(answer(logits, questions)):
            if isinstance(questions[i].need, Draw | Argmax):
                assert native[i] == expected
            else:  # equal scores may come in any order
                assert native[i].logprobs == pytest.approx(expected.logprobs, abs=3e-5)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"top_k": 50},
        {"top_p": 0.95},
        {"top_p": 0.95, "min_p": 0.02},
        {"typical_p": 0.9},
        {"top_k": 40, "top_p": 0.9, "temperature": 0.8, "repetition_penalty": 1.1},
    ],
    ids=str,
)
def test_a_large_vocabulary_is_drawn_from_alike(ops: KernelOps, params: dict[str, Any]) -> None:
    logits = torch.randn(3, 50257, generator=torch.Generator().manual_seed(3)) * 2.5
    random = Random(5)
    uniforms = tuple(random.random() for _ in range(20))
    row = Row(
        params=DecodingParams(**params),
        token_ids=[9, 4, 9, 50256],
        num_generated=2,
        min_new_tokens=0,
        eos_token_ids=frozenset(),
    )
    questions = [Question(row=row, need=Draw(tuple(range(20))), uniforms=uniforms)] * 3

    assert answer(logits, questions, ops.chooser) == answer(logits, questions)


def test_a_row_is_answered_alike_alone_and_in_any_batch(ops: KernelOps) -> None:
    random = Random(11)
    questions = [make_question(random) for _ in range(24)]
    logits = torch.randn(24, 777, generator=torch.Generator().manual_seed(1))

    together = answer(logits, questions, ops.chooser)

    for i, question in enumerate(questions):
        assert answer(logits[i : i + 1], [question], ops.chooser) == [together[i]]


def test_equal_scores_come_in_the_order_of_their_ids(ops: KernelOps) -> None:
    logits = torch.zeros(1, 300)
    logits[0, [50, 250]] = 1.0
    question = make_question(Random(0))
    question = replace(question, row=replace(question.row, params=DecodingParams()), need=Top(5))

    (found,) = answer(logits, [question], ops.chooser)

    assert found.token_ids == (50, 250, 0, 1, 2)


def test_the_report_beside_an_answer_is_the_models_own(ops: KernelOps) -> None:
    logits = torch.randn(2, 500, generator=torch.Generator().manual_seed(2)) * 3
    row = replace(make_question(Random(0)).row, params=DecodingParams(repetition_penalty=1.5))
    questions = [Question(row=row, need=Argmax(), num_logprobs=n, named=(7,)) for n in (0, 4)]

    native, reference = (answer(logits, questions, c) for c in (ops.chooser, None))

    for one, other in zip(native, reference, strict=True):
        assert one.report is not None
        assert other.report is not None
        assert one.report.chosen == pytest.approx(other.report.chosen, abs=1e-5)
        assert [t for t, _ in one.report.top] == [t for t, _ in other.report.top]
        assert [p for _, p in one.report.top] == pytest.approx(
            [p for _, p in other.report.top], abs=1e-5
        )
        assert one.report.named[0] == pytest.approx(other.report.named[0], abs=1e-5)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("need", [Draw((0,)), Argmax(), Top(2), Probe(2)], ids=repr)
def test_scores_that_are_no_numbers_are_refused(ops: KernelOps, value: float, need: Need) -> None:
    logits = torch.zeros(2, 100)
    logits[1, 70] = value
    row = replace(make_question(Random(0)).row, params=DecodingParams())

    with pytest.raises(FloatingPointError):
        answer(logits, [Question(row=row, need=need, uniforms=(0.5,))] * 2, ops.chooser)


def test_what_the_kernels_do_not_know_is_left_to_the_reference(ops: KernelOps) -> None:
    logits = torch.randn(3, 100, generator=torch.Generator().manual_seed(2))
    row = make_question(Random(0)).row
    allowed = torch.zeros(100, dtype=torch.bool).index_fill(0, torch.tensor([5]), value=True)
    rows = [
        replace(row, params=DecodingParams(tfs_z=0.5)),
        replace(row, params=DecodingParams(processor_order=("top_p", "temperature"))),
        replace(row, params=DecodingParams(), allowed=allowed),
    ]
    questions = [Question(row=row, need=Draw((0,)), uniforms=(0.4,)) for row in rows]

    assert answer_natively(logits, questions, ops.chooser) == {}
    assert answer(logits, questions, ops.chooser) == answer(logits, questions)
    filters_of_draws = replace(questions[0], need=Argmax(), uniforms=())
    assert answer_natively(logits, [filters_of_draws], ops.chooser).keys() == {0}


def test_a_row_that_is_not_there_is_refused(ops: KernelOps) -> None:
    choices = Choices()
    choices.add(2, Rules().packed(Kind.ARGMAX), 1)

    with pytest.raises(EngineFailed, match="Row 2"):
        ops.chooser.choose(torch.zeros(2, 5), choices)
