"""Documents written by a model: the same whatever was there before, and nothing twice."""

import json
from pathlib import Path

import pytest

from penstock.engine.config import EngineConfig
from penstock.errors import RecipeError
from penstock.serving.local_engine import LocalEngineKit
from penstock.training.synthesis import Order, Written, numbers_in, openings_of, synthesize
from penstock.types import DecodingParams
from tests.tiny_gpt2 import tiny_model

OPENINGS = ("The old fox", "One day")


@pytest.fixture(scope="module")
def kit() -> LocalEngineKit:
    return LocalEngineKit(tiny_model(seed=1).model, EngineConfig())


def order(num_documents: int) -> Order:
    return Order(
        model_id="tiny",
        num_documents=num_documents,
        max_new_tokens=12,
        params=DecodingParams(temperature=0.9),
        openings=OPENINGS,
        seed=5,
    )


def documents(path: Path) -> dict[int, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    assert len({record["number"] for record in records}) == len(records)
    return {record["number"]: record["text"] for record in records}


def test_a_file_that_was_cut_off_is_completed_with_the_same_documents(
    tmp_path: Path, kit: LocalEngineKit
) -> None:
    whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
    synthesize(order(12), kit, whole, lambda written: None)
    lines = whole.read_bytes().splitlines(keepends=True)
    cut.write_bytes(b"".join(lines[:5]) + lines[5][:20])
    told: list[Written] = []

    synthesize(order(12), kit, cut, told.append)

    assert documents(cut) == documents(whole)
    assert [w.num_documents for w in told] == list(range(6, 13))
    assert [w.num_new for w in told] == list(range(1, 8))
    assert told[-1].num_tokens > 0


def test_every_fourth_document_begins_with_an_opening(tmp_path: Path, kit: LocalEngineKit) -> None:
    path = tmp_path / "out.jsonl"

    synthesize(order(9), kit, path, lambda written: None)

    opened = [n for n, text in sorted(documents(path).items()) if text.startswith(OPENINGS)]
    assert opened == [0, 4, 8]


def test_an_exception_stops_the_writing_and_what_was_written_stays(
    tmp_path: Path, kit: LocalEngineKit
) -> None:
    path = tmp_path / "out.jsonl"

    def stop(written: Written) -> None:
        if written.num_documents == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        synthesize(order(12), kit, path, stop)

    assert len(numbers_in(path)) == 3


def test_a_file_with_other_things_is_refused_and_left_alone(
    tmp_path: Path, kit: LocalEngineKit
) -> None:
    path = tmp_path / "stories.jsonl"
    path.write_text('{"text": "mine"}\n', encoding="utf-8")

    with pytest.raises(RecipeError) as refused:
        synthesize(order(2), kit, path, lambda written: None)

    assert "holds something else" in str(refused.value)
    assert path.read_text(encoding="utf-8") == '{"text": "mine"}\n'


def test_openings_begin_sentences() -> None:
    text = (
        'The fox ran home, and it slept. "Where is it?" asked Ann. no start here\nOne day it came.'
    )

    openings = openings_of([text])

    assert len(openings) == 2
    assert "The fox ran home, and it slept".startswith(openings[0])
    assert "One day it came".startswith(openings[1])
    assert all(2 <= len(opening.split()) <= 7 for opening in openings)
