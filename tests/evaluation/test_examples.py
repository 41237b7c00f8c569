"""Rows of every kind of file, and what is said of those that cannot be used."""

import json
from pathlib import Path

import pytest

from penstock.errors import EvaluationError
from penstock.evaluation.examples import Example, parse_examples, read_examples


def lines(*values: object) -> bytes:
    return "\n".join(v if isinstance(v, str) else json.dumps(v) for v in values).encode()


def test_each_form_gives_the_same_rows() -> None:
    rows = [{"prompt": "2+2", "reference": "4"}, {"text": "Æble"}]
    table = b"prompt\treference\ttext\n2+2\t4\t\n\t\t\xc3\x86ble\n"
    expected = [("2+2", ("4",), ""), ("", (), "Æble")]

    for name, content in {
        "a.jsonl": b"\xef\xbb\xbf" + lines(rows[0], "", rows[1]),  # as some editors begin a file
        "a.json": json.dumps(rows).encode(),
        "a.tsv": table,
        "a.csv": table.replace(b"\t", b","),
    }.items():
        found = parse_examples(content, name=name)
        assert [(e.prompt, e.references, e.text) for e in found.rows] == expected, name


def test_a_plain_text_is_one_row_however_many_lines(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\n\ntwo\n")

    (row,) = read_examples(tmp_path / "a.txt").rows

    assert row == Example(row=1, text="one\n\ntwo\n")


@pytest.mark.parametrize("answer", [1, "b", "B", "1", "blue"])
def test_an_answer_is_a_place_a_letter_or_a_choice(answer: object) -> None:
    row = {"question": "The sky is", "choices": ["green", "blue"], "answer": answer}

    (found,) = parse_examples(lines(row), name="a.jsonl").rows

    assert (found.answer, found.references) == (1, ("blue",))


BAD = {
    '{"text": 3}': "its text or prompt is no text",
    "{": "it is not valid JSON",
    "[1]": "neither an object nor a text",
    '{"title": "x"}': "no text under any of text, prompt, question",
    '{"prompt": "x", "references": [1]}': "references or choices are no texts",
    '{"prompt": "x", "choices": ["a", "b"], "answer": 2}': "not one of at least two choices",
    '{"prompt": "x", "choices": ["a", "b"]}': "not one of at least two choices",
    '{"prompt": "x", "choices": ["a"], "answer": 0}': "not one of at least two choices",
}


@pytest.mark.parametrize(("line", "why"), BAD.items())
def test_a_bad_row_is_named_by_its_line(line: str, why: str) -> None:
    with pytest.raises(EvaluationError, match=rf"1 rows .*line 2: .*{why}.*--skip-bad-rows"):
        parse_examples(lines({"text": "good"}, line), name="a.jsonl")


def test_bad_rows_are_left_out_only_when_asked() -> None:
    found = parse_examples(lines("{", {"text": "x"}, "{"), name="a.jsonl", skip_bad_rows=True)

    assert [row.row for row in found.rows] == [2]
    assert [bad.row for bad in found.bad_rows] == [1, 3]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b"", "holds nothing to evaluate on.*at least one row"),
        ("a.txt", b" \n", "holds nothing to evaluate on"),
        ("a.jsonl", b'{"text": "ok"}\n\xff\xfe', "not UTF-8: byte 15, in line 2.*iconv"),
        ("a.docx", b"x", "ends in .docx.*jsonl"),
        ("a.json", b"{}", "holds no list"),
        ("a.json", b"[", "not valid JSON"),
        ("a.csv", b"text\nx,y\n", "line 2: it has not as many cells"),
    ],
)
def test_a_file_that_cannot_be_used_says_what_to_do(
    name: str, content: bytes, message: str
) -> None:
    with pytest.raises(EvaluationError, match=message):
        parse_examples(content, name=name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"There is no file .*gone.jsonl"):
        read_examples(tmp_path / "gone.jsonl")
