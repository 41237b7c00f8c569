"""The learnt tokenizer loses no text and saves as others can load it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from penstock.training.tokenizer import (
    END_OF_TEXT,
    END_OF_TEXT_ID,
    learn_tokenizer,
    save_tokenizer,
)
from tests.training.small import story


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return learn_tokenizer([story(number) for number in range(20)], vocab_size=300)


@given(text=st.text(max_size=60))
def test_any_text_survives_the_round_trip(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids) == text.replace(END_OF_TEXT, "")


def test_the_end_of_text_is_one_token(tokenizer: Tokenizer) -> None:
    assert tokenizer.encode(END_OF_TEXT).ids == [END_OF_TEXT_ID]
    assert tokenizer.get_vocab_size() == 300


def test_transformers_reads_the_folder_and_finds_the_same_tokens(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    save_tokenizer(tokenizer, tmp_path, max_length=32)

    loaded = AutoTokenizer.from_pretrained(tmp_path)

    assert len(loaded) == 300
    assert loaded.eos_token_id == END_OF_TEXT_ID
    text = "Once upon a time, caf\u00e9 \U0001f98a."
    assert loaded.encode(text) == tokenizer.encode(text).ids
    assert loaded.decode(loaded.encode(text)) == text
