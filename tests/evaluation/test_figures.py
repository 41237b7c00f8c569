"""Figures of texts, against tables made by hand and against slow definitions."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.evaluation.bleu import bleu, self_bleu
from penstock.evaluation.diversity import distinct, repetition, words_of
from penstock.evaluation.loops import MIN_LENGTH, MIN_TIMES, Loop, find_loop

TOKENS = st.lists(st.integers(0, 2), max_size=40)


def test_words_and_signs_are_told_apart_in_any_script() -> None:
    assert words_of("The mill's WHEEL, Ærø 2nd…") == [
        "the", "mill", "'", "s", "wheel", ",", "ærø", "2nd", "…"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("a b c d", (1.0, 1.0, 1.0)),
        ("a a a a", (1 / 4, 1 / 3, 1 / 2)),
        ("a b a b", (2 / 4, 2 / 3, 1.0)),
        ("a", (1.0, None, None)),
        ("", (None, None, None)),
    ],
)
def test_distinct_is_the_share_of_different_ngrams(
    text: str, figures: tuple[float | None, ...]
) -> None:
    assert tuple(distinct(text.split(), size) for size in (1, 2, 3)) == figures


def test_repetition_is_the_share_of_4_grams_that_had_occurred() -> None:
    assert repetition(["a", "b", "c", "d", "e"]) == 0
    assert repetition(["a", "b", "c", "d", "a", "b", "c", "d"]) == pytest.approx(1 / 5)
    assert repetition(["a", "b", "c"]) is None


@pytest.mark.parametrize(
    ("text", "references", "expected"),
    [
        ("the cat sat on the mat", ["the cat sat on the mat"], 1.0),
        # 5/6, 3/5, 1/4, and no 4-gram: half of one in 3
        ("the cat sat on the mat", ["the cat on the mat there"],
         (5 / 6 * 3 / 5 * 1 / 4 * (1 / 2) / 3) ** (1 / 4)),
        # clipped: "the" counts once; nothing else: 1/2 of 1/2, 1/4 of 1
        ("the the the", ["the end"], (1 / 3 * (1 / 2) / 2 * (1 / 4) / 1) ** (1 / 3)),
        # two words of four: the penalty for being brief
        ("a b", ["a b c d"], math.exp(1 - 4 / 2)),
        ("x y", ["a b"], 0.0),
        ("", ["a"], 0.0),
    ],
)  # fmt: skip
def test_bleu_by_hand(text: str, references: list[str], expected: float) -> None:
    assert bleu(text.split(), [r.split() for r in references]) == pytest.approx(expected)


@given(st.lists(TOKENS, min_size=2, max_size=4))
def test_self_bleu_is_1_of_equal_texts_0_of_strangers_and_knows_no_order(
    texts: list[list[int]],
) -> None:
    value = self_bleu(texts)

    assert value is not None and 0 <= value <= 1 + 1e-9
    assert self_bleu(texts[::-1]) == pytest.approx(value)
    assert self_bleu([texts[0] or [1]] * 3) == pytest.approx(1)
    assert self_bleu([[number] * 5 for number in range(3)]) == 0
    assert self_bleu(texts[:1]) is None


@given(
    before=st.lists(st.integers(3, 9), max_size=20, unique=True),
    piece=st.lists(st.integers(0, 2), min_size=1, max_size=7),
    times=st.integers(MIN_TIMES, 20),
    end=st.sampled_from([(), (99,)]),
)
def test_a_loop_is_found_where_it_starts(
    before: list[int], piece: list[int], times: int, end: tuple[int, ...]
) -> None:
    loop = find_loop([*before, *(piece * times), *end])

    if len(piece) * times < MIN_LENGTH:
        assert loop is None or loop.num_tokens >= MIN_LENGTH
        return
    assert loop is not None
    assert (loop.start, loop.num_tokens) == (len(before), len(piece) * times)
    assert len(piece) % loop.period == 0


@given(TOKENS)
def test_no_other_loop_is_found_than_by_trying_them_all(tokens: list[int]) -> None:
    assert find_loop(tokens) == (_slowly(tokens) or _slowly(tokens[:-1]))


def _slowly(tokens: list[int]) -> Loop | None:
    for period in range(1, len(tokens)):
        start = len(tokens) - period
        while start > 0 and tokens[start - 1] == tokens[start - 1 + period]:
            start -= 1
        length = len(tokens) - start
        if length >= MIN_LENGTH and length >= MIN_TIMES * period:
            return Loop(start, period, length)
    return None


def test_a_text_that_almost_loops_is_searched_in_no_time() -> None:
    a, b = "a", "ab"
    while len(b) < 30_000:
        a, b = b, b + a  # Fibonacci's word: nearly periodic in very many ways

    assert find_loop(b) is None
