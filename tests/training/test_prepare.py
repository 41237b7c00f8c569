"""Data of any kind become tokens with the right ones counted, or a message that says what to do."""

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from penstock.cli.main import app, run
from penstock.errors import RecipeError
from penstock.text.chat_templates import ChatTemplate
from penstock.training.data_report import DataReport
from penstock.training.encoding import Encoder
from penstock.training.prepare_folder import Wanted, prepare_folder
from penstock.training.prepared import TokenizedSource, open_split
from penstock.training.recipe import DataSource
from penstock.training.segments import chat_segments, transcript_turns
from penstock.training.tokenizer import learn_tokenizer, save_tokenizer
from tests.training.families import write_family
from tests.training.small import small_recipe, story
from tests.training.test_loop import start


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(learn_tokenizer([story(n) for n in range(100)], 300), folder, 64)
    return folder


def prepared(source: DataSource, tokenizer: Path, out: Path, **changes: Any) -> DataReport:
    settings: dict[str, Any] = {
        "model": None,
        "tokenizer": tokenizer,
        "vocab_size": 300,
        "block_size": 64,
        "fraction": 0.1,
    }
    load = changes.pop("load", None)
    return prepare_folder(Wanted(source=source, **(settings | changes)), out, load=load)


def texts_in(source: TokenizedSource, tokenizer: Path) -> list[str]:
    import tokenizers

    backend = tokenizers.Tokenizer.from_file(str(tokenizer / "tokenizer.json"))
    documents = [source.tokens[source.document(i)].tolist() for i in range(len(source.ends))]
    return [backend.decode(ids) for ids in documents]


def write_kind(folder: Path, kind: str, texts: list[str]) -> Path:
    path = folder / f"data.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps({"text": t}) + "\n" for t in texts))
    elif kind == "csv":
        with path.open("w", newline="") as file:
            csv.writer(file).writerows([["id", "text"], *[[i, t] for i, t in enumerate(texts)]])
    else:
        pq.write_table(pa.table({"text": texts}), path)
    return path


@pytest.mark.parametrize("kind", ["jsonl", "csv", "parquet"])
def test_every_kind_of_file_gives_the_same_documents(
    tmp_path: Path, tokenizer: Path, kind: str
) -> None:
    stories = [story(n) for n in range(30)]
    path = write_kind(tmp_path, kind, stories)

    report = prepared(DataSource(path=path), tokenizer, tmp_path / "out")

    train, validation = (open_split(tmp_path / "out", s) for s in ("train", "validation"))
    assert set(texts_in(train, tokenizer)) | set(texts_in(validation, tokenizer)) == set(stories)
    assert len(train.ends) + len(validation.ends) == 30
    assert len(validation.ends) > 0
    assert report.num_train_tokens == len(train.tokens) == train.ends[-1]
    assert report.num_duplicates == 0


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path, tokenizer: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    write_kind(folder, "jsonl", [story(1)]).rename(folder / "b.jsonl")
    (folder / "a.csv").write_text("text\nFirst of all the fox went home.\n")
    (folder / "c.bin").write_bytes(b"\x00 not read")

    report = prepared(DataSource(path=folder), tokenizer, tmp_path / "out")

    assert report.num_rows == 2


def test_a_long_text_is_read_in_pieces_and_its_end_is_held_out(
    tmp_path: Path, tokenizer: Path
) -> None:
    text = "".join(f"{n} {story(n)}\n" for n in range(2500))  # about a megabyte
    path = tmp_path / "long.txt"
    path.write_text(text)

    prepared(DataSource(path=path), tokenizer, tmp_path / "out")

    train, validation = (open_split(tmp_path / "out", s) for s in ("train", "validation"))
    assert len(train.ends) > 20
    read = "".join(texts_in(train, tokenizer)) + "".join(texts_in(validation, tokenizer))
    assert read == text
    assert 0.05 < len(validation.tokens) / len(train.tokens) < 0.15
    assert int(np.sum(train.tokens == 0)) + int(np.sum(validation.tokens == 0)) == 1  # one end


def test_only_the_answer_is_counted(tmp_path: Path, tokenizer: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": f"Say {n}:", "completion": f" number {n}"} for n in range(20)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    report = prepared(DataSource(path=path), tokenizer, tmp_path / "out")

    train = open_split(tmp_path / "out", "train")
    assert train.kind == "examples"
    assert train.counted is not None
    prompts, answers = set(), set()
    for number in range(len(train.ends)):
        place = train.document(number)
        ids, counted = train.tokens[place], np.asarray(train.counted[place])
        one = TokenizedSource(tokens=ids[~counted], ends=np.array([(~counted).sum()]), num_words=0)
        two = TokenizedSource(tokens=ids[counted], ends=np.array([counted.sum()]), num_words=0)
        prompts.add(texts_in(one, tokenizer)[0])
        answers.add(texts_in(two, tokenizer)[0])
        assert ids[-1] == 0  # the answer ends, and that is learnt
    assert prompts < {row["prompt"] for row in rows}
    assert answers < {row["completion"] for row in rows}
    assert 0 < report.num_counted_tokens < report.num_train_tokens + report.num_validation_tokens


def test_a_conversation_counts_what_the_assistant_says_and_what_ends_it() -> None:
    turns = [("user", "Hi."), ("assistant", "Hello!"), ("user", "Bye."), ("assistant", "So long.")]
    values = {"messages": [{"role": role, "content": text} for role, text in turns]}

    segments = chat_segments(
        DataSource(path=Path("x")), values, ChatTemplate(source="", origin="fallback")
    )

    whole = "User: Hi.\nAssistant: Hello!\nUser: Bye.\nAssistant: So long.\n"
    assert "".join(segment.text for segment in segments) == whole
    counted = [segment.text for segment in segments if segment.is_counted]
    assert counted == [" Hello!\n", "User:", " So long.\n"]


def test_a_models_own_template_decides_what_its_answers_are() -> None:
    source = (
        "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>{% endif %}"
    )
    values = {"conversations": [{"from": "human", "value": "A"}, {"from": "gpt", "value": "B"}]}

    segments = chat_segments(
        DataSource(path=Path("x")), values, ChatTemplate(source=source, origin="model")
    )

    assert [(s.text, s.is_counted) for s in segments] == [
        ("<|user|>A<|end|><|assistant|>", False),
        ("B<|end|>", True),
    ]


def test_a_transcript_becomes_turns() -> None:
    assert transcript_turns("User 1: Hi!\nUser 2: Hello.\nAnd more.\nUser 2: Again.") == [
        {"role": "user", "content": "Hi!"},
        {"role": "assistant", "content": "Hello.\nAnd more. Again."},
    ]


def test_pairs_for_an_encoder_decoder_end_on_both_sides(tmp_path: Path) -> None:
    model = write_family(tmp_path / "t5", "t5")
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"prompt": "Who?", "completion": "A fox"}\n' * 3)

    wanted = Wanted(
        source=DataSource(path=path),
        model=model,
        tokenizer=None,
        vocab_size=300,
        block_size=64,
        fraction=0.1,
    )
    prepare_folder(wanted, tmp_path / "out")

    train = open_split(tmp_path / "out", "train")
    assert train.kind == "pairs"
    place = train.document(0)
    ids, counted = train.tokens[place], np.asarray(train.counted)[place]
    assert ids[~counted][-1] == ids[counted][-1] == 0
    assert texts_in(train, model)[0] == "Who?A fox"


BAD = {
    "cut.jsonl": (b'{"text": "fine text"}\n{"text": "cut\n', "line 2, is not valid JSON"),
    "list.jsonl": (b'["a"]\n', "line 1, is a list, not an object"),
    "field.jsonl": (b'{"body": "x"}\n', "has no text under 'text' (its fields: body)"),
    "latin.jsonl": (b'{"text": "caf\xe9"}\n', "line 1, is not UTF-8 (byte 14 of the line)"),
    "latin.txt": (b"one\ntwo\ncaf\xe9\n", "latin.txt, line 3, is not utf-8 text"),
    "wide.csv": (b"text,id\na,1\nb\n", "line 3, has 1 columns; the first line names 2"),
    "latin.csv": (b"text,id\ncaf\xe9,1\n", "is not in the file's encoding; set `encoding`"),
    "empty.jsonl": (b"", "holds no text"),
    "empty.txt": (b"", "holds no text"),
    "no.parquet": (b"PAR", "is not a Parquet file"),
    "value.json": (b"[]", "is one JSON value, which cannot be read row by row"),
    "blank.jsonl": (b'{"text": "  "}\n', "line 1, has an empty text"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_named_with_its_line(
    tmp_path: Path, tokenizer: Path, name: str
) -> None:
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(RecipeError) as refused:
        prepared(DataSource(path=path), tokenizer, tmp_path / "out")

    assert message in str(refused.value)


def test_bad_rows_can_be_left_out_and_are_counted(tmp_path: Path, tokenizer: Path) -> None:
    path = write_kind(tmp_path, "jsonl", [story(n) for n in range(20)])
    path.write_text(path.read_text() + '{"text": \n{"text": 5}\n')

    report = prepared(DataSource(path=path, bad_rows="skip"), tokenizer, tmp_path / "out")

    assert (report.num_rows, report.num_bad_rows) == (20, 2)
    assert f"{path}, line 21, is not valid JSON" in report.bad_rows[0]
    assert f"{path}, line 22, has no text" in report.bad_rows[1]


def test_doubles_and_cuts_are_counted(tmp_path: Path, tokenizer: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    rows = [{"prompt": "Say:", "completion": "word " * n} for n in (1, 1, 1, 2, 90)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    report = prepared(DataSource(path=path), tokenizer, tmp_path / "out")

    assert (report.num_duplicates, report.num_cut) == (2, 1)
    assert report.lengths.longest == 65  # block_size, and the token after it
    assert any("duplicate" in note for note in report.notes)


@pytest.mark.parametrize(
    "content", ['{"text": "One line."}\n', '{"prompt": "One", "completion": "line"}\n']
)
def test_a_data_set_of_one_line_can_be_trained_on(tmp_path: Path, content: str) -> None:
    (tmp_path / "one.jsonl").write_text(content)
    recipe = small_recipe(tmp_path, data=[{"path": "one.jsonl"}], max_steps=3)

    assert start(recipe).run().step == 3


def hub_rows() -> Iterator[Mapping[str, Any]]:
    for number in range(12):
        yield {"text": f" = Title {number} = \n"}
        yield {"text": ""}
        yield {"text": f" {story(number)} \n"}
        yield {"text": " = = Section = = \n"}


def test_wikitext_is_streamed_by_name_and_its_articles_are_whole(
    tmp_path: Path, tokenizer: Path
) -> None:
    asked: list[tuple[Any, ...]] = []

    def load(*names: Any, split: str, streaming: bool) -> Iterator[Mapping[str, Any]]:
        asked.append((*names, split, streaming))
        return hub_rows()

    report = prepared(DataSource(dataset="wikitext-2"), tokenizer, tmp_path / "out", load=load)

    wikitext = ("Salesforce/wikitext", "wikitext-2-raw-v1")
    assert asked == [(*wikitext, "train", True), (*wikitext, "validation", True)]
    train = open_split(tmp_path / "out", "train")
    assert len(train.ends) == len(open_split(tmp_path / "out", "validation").ends) == 12
    assert texts_in(train, tokenizer)[3].startswith(" = Title 3 = \n")
    assert "CC BY-SA" in report.licence


def test_datasets_reads_a_folder_that_lies_as_on_the_hub(tmp_path: Path, tokenizer: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    table = pa.table({"text": [row["text"] for row in hub_rows() if row["text"]]})
    pq.write_table(table, folder / "train-00000-of-00001.parquet")

    from datasets import load_dataset

    def load(_: str, __: str | None, **options: Any) -> Any:
        return load_dataset(str(folder), cache_dir=str(tmp_path / "cache"), **options)

    report = prepared(DataSource(dataset="openwebtext"), tokenizer, tmp_path / "out", load=load)

    assert report.num_rows == 36
    assert report.num_bad_rows == 0


def test_a_data_set_that_cannot_be_fetched_says_what_to_do(tmp_path: Path, tokenizer: Path) -> None:
    def load(*_: Any, **__: Any) -> Any:
        raise ConnectionError("no route to the hub\nat all")

    with pytest.raises(RecipeError) as refused:
        prepared(DataSource(dataset="openwebtext"), tokenizer, tmp_path / "out", load=load)

    expected = "The data set Skylion007/openwebtext cannot be read (no route to the hub)."
    assert str(refused.value).startswith(expected)


def test_prepared_data_are_trained_on_and_those_of_another_tokenizer_refused(
    tmp_path: Path, tokenizer: Path
) -> None:
    path = write_kind(tmp_path, "jsonl", [story(n) for n in range(50)])
    prepared(DataSource(path=path), tokenizer, tmp_path / "prepared")

    assert start(small_recipe(tmp_path, data=[{"path": "prepared"}], max_steps=2)).run().step == 2

    model = write_family(tmp_path / "gpt2", "gpt2")
    changes = {"initial_model": str(model), "model": None, "data": [{"path": "prepared"}]}
    other = learn_tokenizer(["quite another text"], 290)
    save_tokenizer(other, model, 64)
    with pytest.raises(RecipeError, match="was prepared with another tokenizer"):
        start(small_recipe(tmp_path, output_dir="second", **changes))


def test_the_command_prints_the_report_and_refuses_in_one_line(tmp_path: Path) -> None:
    path = write_kind(tmp_path, "jsonl", [story(n) for n in range(30)])
    arguments = ["data", "prepare", str(path), str(tmp_path / "out"), "--vocab-size", "300"]

    result = CliRunner().invoke(app, [*arguments, "--licence", "CC0"])

    assert result.exit_code == 0, result.output
    assert "licence    CC0" in result.stdout
    assert "half have at most" in result.stdout
    path.write_text("no json\n")
    assert run(arguments) == 3


def test_an_encoder_keeps_a_special_token_that_a_text_spells_as_text(tokenizer: Path) -> None:
    from penstock.training.encoding import read_encoder

    encoder: Encoder = read_encoder(tokenizer, max_length=64)

    ids = encoder.texts(["a <|endoftext|> b"])[0]

    assert encoder.eos_id not in ids
    assert encoder.tokenizer.decode(ids) == "a <|endoftext|> b"
