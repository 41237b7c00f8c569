"""Tokenizers of each kind: one learnt here in a moment, the others from the shared data."""

from pathlib import Path

import pytest

from penstock.text.tokenizer import Tokenizer
from tests.text.learnt import learn_byte_level


@pytest.fixture(scope="session")
def small() -> Tokenizer:
    """The byte-level tokenizer learnt here."""
    return Tokenizer(learn_byte_level(), frozenset({0}))


@pytest.fixture(scope="session")
def gpt2(shared_data: Path) -> Tokenizer:
    """GPT-2's own tokenizer."""
    return Tokenizer.from_folder(shared_data / "tokenizers" / "gpt2")


@pytest.fixture(scope="session", params=["small", "gpt2"])
def byte_level(request: pytest.FixtureRequest) -> Tokenizer:
    """Each byte-level tokenizer there is."""
    tokenizer: Tokenizer = request.getfixturevalue(request.param)
    return tokenizer


@pytest.fixture(scope="session", params=["weights/stories260K", "tokenizers/t5"])
def sentencepiece(request: pytest.FixtureRequest, shared_data: Path) -> Tokenizer:
    """Llama's BPE with byte tokens, and T5's Unigram without."""
    return Tokenizer.from_folder(shared_data / request.param)
