"""Topic words weigh a distribution by Bayes' rule, and lead a text until they are written."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from penstock.decoding.processors import process
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.rows import make_row
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import tiny_model

WORDS = ((3, 4), (5,), (3, 6, 7), (4, 4, 8))
VOCAB_SIZE = 10


@pytest.mark.parametrize(
    ("text", "raised"),
    [
        ((), {3: 3, 5: 6, 4: 2}),  # half of (3, 4), all of (5,), a third of (4, 4, 8)
        ((1, 3), {3: 3, 5: 6, 4: 6, 6: 4}),  # two of them may go on, with 4 or with 6
        ((3, 4), {3: 2, 5: 6, 4: 4}),  # (3, 4) is there; (3, 6, 7) is not; (4, 4, 8) is begun
        ((3, 4, 4), {3: 2, 5: 6, 4: 4, 8: 6}),
        ((5, 3, 6), {3: 3, 4: 2, 7: 6}),  # (5,) is there
        ((3, 4, 5, 3, 6, 7, 4, 4, 8), {}),
    ],
)
def test_what_brings_a_word_on_is_raised_until_it_is_there(
    text: tuple[int, ...], raised: dict[int, int]
) -> None:
    row = make_row(text, topic_words=WORDS, topic_strength=6.0)

    scores = process(torch.zeros(1, VOCAB_SIZE), [row])[0]

    assert scores.tolist() == pytest.approx([raised.get(i, 0) for i in range(VOCAB_SIZE)])


def test_words_of_the_prompt_are_not_written_yet_nor_begun() -> None:
    row = make_row((5, 3), num_generated=0, topic_words=WORDS)

    assert process(torch.zeros(1, VOCAB_SIZE), [row])[0].nonzero().flatten().tolist() == [3, 4, 5]


@given(
    st.lists(st.floats(-20, 20), min_size=VOCAB_SIZE, max_size=VOCAB_SIZE),
    st.sets(st.integers(0, VOCAB_SIZE - 1)),
    st.floats(-20, 20),
)
def test_it_is_bayes_rule(logits: list[float], bag: set[int], strength: float) -> None:
    words = tuple((token_id,) for token_id in bag)
    row = make_row((), topic_words=words, topic_strength=strength)
    total = math.fsum(map(math.exp, logits))
    prior = [math.exp(logit) / total for logit in logits]
    likelihood = [math.exp(strength) if i in bag else 1.0 for i in range(VOCAB_SIZE)]
    evidence = math.fsum(p * like for p, like in zip(prior, likelihood, strict=True))

    posterior = process(torch.tensor([logits]), [row])[0].softmax(-1).tolist()

    expected = [p * like / evidence for p, like in zip(prior, likelihood, strict=True)]
    assert posterior == pytest.approx(expected, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("strategy", ["controlled", "beam_search", "greedy", "contrastive_search"])
def test_a_text_turns_to_its_topic(strategy: str) -> None:
    words = ((7, 8), (9,), (10, 11))

    def num_words(strength: float) -> int:
        params = DecodingParams(
            topic_words=words, topic_strength=strength, num_beams=3, top_k=4, penalty_alpha=0.3
        )
        request = GenerationRequest(
            request_id="r", prompt="Once", model="tiny", strategy=strategy, params=params,
            max_new_tokens=60, seed=3,
        )  # fmt: skip
        (text,) = run_alone(tiny_model(4).model, request).token_ids
        return sum(word in {tuple(text[i : i + len(word)]) for i in range(60)} for word in words)

    assert num_words(0.0) == num_words(-20.0) == 0
    assert num_words(20.0) == 3
