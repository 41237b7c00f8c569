"""The corpus holds each text once, and keeps what is held out apart from what is trained on."""

import json
from pathlib import Path

import pytest

from penstock.errors import RecipeError
from penstock.training.corpus import prepare_corpus
from penstock.training.preparing import is_held_out
from penstock.training.prose import read_documents, without_doubles
from penstock.training.recipe import DataSource
from penstock.training.tokenizer import END_OF_TEXT, END_OF_TEXT_ID
from tests.training.small import small_recipe, story

LONG = "The {} went over the hill to see the king and his daughter, who were at home that day."


def test_documents_end_with_the_end_of_text_and_read_as_written(tmp_path: Path) -> None:
    corpus = prepare_corpus(small_recipe(tmp_path))
    source = corpus.sources[0]

    assert len(source.tokens) == source.ends[-1]
    assert all(source.tokens[end - 1] == END_OF_TEXT_ID for end in source.ends)
    first = corpus.tokenizer.decode(source.tokens[: source.ends[0]].tolist())
    assert first in {story(number) for number in range(100)}


def test_no_held_out_document_is_trained_on(tmp_path: Path) -> None:
    corpus = prepare_corpus(small_recipe(tmp_path))

    def texts(tokens: list[int]) -> set[str]:
        decoded = corpus.tokenizer.decode(tokens, skip_special_tokens=False)
        return set(decoded.split(END_OF_TEXT)[:-1])

    trained = texts(corpus.sources[0].tokens.tolist())
    held_out = texts(corpus.validation.tokens.tolist())
    assert len(trained) + len(held_out) == 100
    assert not trained & held_out
    assert all(is_held_out(text, 0.1) for text in held_out)


def test_a_document_half_of_which_was_seen_is_left_out() -> None:
    hare, fox, owl = (LONG.format(name) for name in ("hare", "fox", "owl"))
    documents = [f"{hare}\n\n{fox}", f"{fox.upper()}\n\n{hare}", f"{owl}\n\nYes."]

    assert list(without_doubles(iter(documents), set())) == [documents[0], documents[2]]


def test_a_doubled_paragraph_in_a_new_document_is_left_out() -> None:
    names = ("hare", "fox", "owl", "crow")
    hare, fox, owl, crow = (LONG.format(name) for name in names)

    kept = list(without_doubles(iter([hare, f"{hare}\n\n{fox}\n\n{owl}\n\n{crow}"]), set()))

    assert kept == [hare, f"{fox}\n\n{owl}\n\n{crow}"]


def test_an_unchanged_recipe_uses_the_cache_and_a_changed_one_does_not(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    prepare_corpus(recipe)
    written = (recipe.run_dir / "corpus" / "source0" / "train.tokens").stat().st_mtime_ns

    prepare_corpus(recipe)
    assert (recipe.run_dir / "corpus" / "source0" / "train.tokens").stat().st_mtime_ns == written

    prepare_corpus(recipe.model_copy(update={"validation_fraction": 0.2}))
    assert (recipe.run_dir / "corpus" / "source0" / "train.tokens").stat().st_mtime_ns != written


def test_a_record_without_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(json.dumps({"text": story(1)}) + "\n" + json.dumps({"body": "x"}) + "\n")

    with pytest.raises(RecipeError) as refused:
        list(read_documents(DataSource(path=path)))

    expected = f"{path}, line 2, has no text under 'text'."
    assert str(refused.value) == f"{expected} Set text_key to the field that holds the text."


def test_a_missing_data_file_is_named(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    (tmp_path / "stories.jsonl").unlink()

    with pytest.raises(RecipeError) as refused:
        prepare_corpus(recipe)

    expected = f"There is no data file at {tmp_path}/stories.jsonl. Mend its path."
    assert str(refused.value) == expected
