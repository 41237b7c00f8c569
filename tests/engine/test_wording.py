"""Words become token ids before a request runs, and what the model lacks is refused by name."""

from typing import Any

import pytest
import tokenizers

from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter
from penstock.text.tokenizer import Tokenizer
from penstock.types import DecodingParams, GenerationRequest
from tests.engine.driving import run_alone
from tests.tiny_gpt2 import VOCAB_SIZE, loaded, tiny_model

TINY = tiny_model(3)


def _request(**params: Any) -> GenerationRequest:
    return GenerationRequest(
        request_id="r",
        prompt="Once",
        model="tiny",
        params=DecodingParams(**params),
        max_new_tokens=60,
        seed=5,
    )


def _ids(text: str) -> tuple[int, ...]:
    return tuple(TINY.model.tokenizer.encode(text))


def test_a_forbidden_text_is_forbidden_alone_and_after_a_space() -> None:
    params = prepare(_request(bad_words=("he", (4, 5))), TINY.model).request.params

    assert params.bad_words == (_ids("he"), _ids(" he"), (4, 5))


def test_a_biased_text_is_taken_as_it_is() -> None:
    params = prepare(_request(sequence_bias=(("he", 2.0),)), TINY.model).request.params

    assert params.sequence_bias == ((_ids("he"), 2.0),)


def test_a_topic_word_is_taken_as_it_stands_after_another() -> None:
    asked = _request(topic_words=("he", " he", "she ", (4, 5), " "))

    params = prepare(asked, TINY.model).request.params

    assert params.topic_words == (_ids(" he"), _ids(" she "), (4, 5), _ids(" "))


def test_a_topic_word_is_its_own_token_where_the_tokenizer_marks_the_beginning_of_words() -> None:
    pieces = [("<unk>", 0.0), ("\u2581a", -1.0), ("\u2581dragon", -2.0), ("\u2581", -3.0),
              *((c, -9.0) for c in "adragon")]  # fmt: skip
    backend = tokenizers.Tokenizer(tokenizers.models.Unigram(list(dict(pieces).items()), 0))
    backend.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    backend.decoder = tokenizers.decoders.Metaspace()
    model = loaded(TINY.model.family, "marks", Tokenizer(backend, frozenset({0})))

    params = prepare(_request(topic_words=("dragon",)), model).request.params

    assert params.topic_words == ((2,),)


def test_a_forbidden_word_is_never_written() -> None:
    free = run_alone(TINY.model, _request()).texts[0]
    words = tuple({c for c in free[:20] if c.isascii() and c.isalnum()})
    assert words, "the text has something to forbid"

    text = run_alone(TINY.model, _request(bad_words=words)).texts[0]

    assert not set(words) & set(text)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("logit_bias", ((VOCAB_SIZE, 1.0),), f"logit_bias: token id {VOCAB_SIZE} is not in the"),
        ("bad_words", ((1, VOCAB_SIZE),), f"bad_words: token id {VOCAB_SIZE} is not in the"),
        ("bad_words", ((),), "bad_words: () has no tokens. Remove it, or give its token ids."),
        ("sequence_bias", (((-1,), 1.0),), "sequence_bias: token id -1 is not in the vocabulary"),
        ("topic_words", ((1, VOCAB_SIZE),), f"topic_words: token id {VOCAB_SIZE} is not in the"),
        ("suppress_tokens", (999,), "suppress_tokens: token id 999 is not in the vocabulary"),
        ("forced_eos_token_id", 999, "forced_eos_token_id: token id 999 is not in the vocabulary"),
        ("processor_order", ("topp",), "processor_order: there is no step 'topp'. Use some of"),
        ("processor_order", ("top_p", "top_p"), "processor_order names 'top_p' twice. Name each"),
    ],
)
def test_what_the_model_lacks_is_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        prepare(_request(**{name: value}), TINY.model)

    assert str(caught.value).startswith(message)
    assert caught.value.param == name
