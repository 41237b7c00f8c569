"""A trained attribute weighs a distribution by Bayes' rule and moves what is written."""

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from penstock.decoding.processors import process
from penstock.engine.prepare import prepare
from penstock.errors import InvalidParameter, RecipeError, ReplayDiffers
from penstock.model.attributes import Attribute, AttributeFolder, read_attribute, write_attribute
from penstock.training.attribute import Labelled, log_odds, read_labelled, train_attribute
from penstock.types import DecodingParams, GenerationRequest
from tests.decoding.rows import make_row
from tests.engine.driving import run_all
from tests.tiny_gpt2 import VOCAB_SIZE, byte_tokenizer, tiny_model

TOKENIZER = byte_tokenizer()
SMALL = set(range(1, 129))  # tokens that the attribute of these tests likes


def _texts(count: int = 200) -> list[Labelled]:
    """Texts whose tokens are three times out of four of the half that their label names."""
    rng = random.Random(1)
    texts = []
    for number in range(count):
        label = number % 2 == 0
        likes = [rng.random() < (0.75 if label else 0.25) for _ in range(rng.randint(10, 60))]
        token_ids = [rng.randrange(1, 129) if like else rng.randrange(129, 257) for like in likes]
        texts.append(Labelled(tuple(token_ids), label))
    return texts


@pytest.fixture(scope="module")
def trained() -> Attribute:
    result = train_attribute("small", _texts(), vocab_size=VOCAB_SIZE)
    assert result.accuracy > 0.85
    return result.attribute


def test_it_is_bayes_rule() -> None:
    attribute = Attribute("a", torch.tensor([0.5, -2.0, 1.0, 0.0]), bias=-0.25)
    logits = torch.tensor([[0.1, 1.0, -1.0, 0.4]])

    for strength in (1.0, 2.5, -1.0):
        params = {"attribute": attribute, "attribute_strength": strength}
        row = make_row((2, 0), **params)
        row = replace(row, params=replace(row.params, attribute="a"))

        result = process(logits, [row])[0].softmax(-1)

        def likelihood(token_id: int, strength: float = strength) -> float:
            odds = -0.25 + 1.0 + 0.5 + attribute.weights[token_id].item()
            return (1 / (1 + math.exp(-odds * math.copysign(1, strength)))) ** abs(strength)

        weighed = logits[0].softmax(-1) * torch.tensor([likelihood(i) for i in range(4)])
        assert result.tolist() == pytest.approx((weighed / weighed.sum()).tolist(), abs=1e-6)


def test_it_recognises_beginnings_not_only_whole_texts(trained: Attribute) -> None:
    beginnings = [(t.token_ids[:6], t.label) for t in _texts()]

    num_right = sum((log_odds(trained, ids) > 0) == label for ids, label in beginnings)

    assert num_right / len(beginnings) > 0.75


@pytest.mark.parametrize("strategy", ["sampling", "beam_search"])
def test_it_moves_what_is_written(trained: Attribute, tmp_path: Path, strategy: str) -> None:
    write_attribute(trained, TOKENIZER, tmp_path)
    model = replace(tiny_model(1).model, attributes=AttributeFolder(tmp_path))

    def share(strength: float) -> float:
        """Of tokens that the attribute likes, in thirty texts."""
        params = DecodingParams(attribute="small", attribute_strength=strength, num_beams=3)
        requests = [
            GenerationRequest(
                request_id=str(seed),
                prompt=(1 + seed, 256 - seed),
                model="tiny",
                strategy=strategy,
                params=params,
                max_new_tokens=20,
                seed=seed,
            )
            for seed in range(30)
        ]
        written = [result.token_ids[0] for result in run_all(model, requests)]
        tokens = [token_id for text in written for token_id in text]
        return sum(token_id in SMALL for token_id in tokens) / len(tokens)

    away, without, towards = share(-15.0), share(0.0), share(15.0)

    assert away < without - 0.05  # where nothing speaks for it any more, nothing is led away
    assert towards > without + 0.1


def test_a_file_comes_back_as_it_was_and_fits_only_its_tokens(
    trained: Attribute, tmp_path: Path
) -> None:
    path = write_attribute(trained, TOKENIZER, tmp_path)

    again = read_attribute(path, TOKENIZER)

    assert torch.equal(again.weights, trained.weights)
    assert again.bias == pytest.approx(trained.bias)
    with pytest.raises(InvalidParameter, match="trained for a model with other tokens"):
        read_attribute(path, byte_tokenizer("<more>"))
    path.write_bytes(b"broken")
    with pytest.raises(InvalidParameter, match="cannot be used"):
        read_attribute(path, TOKENIZER)
    with pytest.raises(InvalidParameter, match="cannot be the name"):
        write_attribute(replace(trained, name="../x"), TOKENIZER, tmp_path)


def test_an_attribute_that_is_unknown_or_not_the_same_is_refused(
    trained: Attribute, tmp_path: Path
) -> None:
    write_attribute(trained, TOKENIZER, tmp_path)
    model = replace(tiny_model(1).model, attributes=AttributeFolder(tmp_path))
    request = GenerationRequest(
        request_id="r", prompt=(1,), model="tiny", params=DecodingParams(attribute="other")
    )

    with pytest.raises(InvalidParameter, match=r"no attribute 'other'\. There are small"):
        prepare(request, model)
    request = replace(request, params=DecodingParams(attribute="small"), attribute_digest="0" * 64)
    with pytest.raises(ReplayDiffers, match="attribute small is not the one"):
        prepare(request, model)


def test_what_is_not_labelled_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.jsonl"
    path.write_text(json.dumps({"text": "a", "label": True}) + '\n\n{"text": "b", "label": 1}\n')

    with pytest.raises(RecipeError, match=r"Line 3 of .* is no labelled text"):
        list(read_labelled(path))
    with pytest.raises(RecipeError, match="not of both labels"):
        train_attribute("a", [t for t in _texts() if t.label], vocab_size=VOCAB_SIZE)
