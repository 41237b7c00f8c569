"""What a model is evaluated on: rows of a file, each named by its line when something is wrong.

Knows files and rows, no models and no metrics.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import EvaluationError

PROMPT_KEYS = ("prompt", "question")
MORE_PROMPT_KEYS = ("source", "input")  # of rows without a text; beside one they say other things
REFERENCE_KEYS = ("references", "reference", "completion", "answer", "target", "output")
MAX_TOLD = 5  # bad rows that a message names
ROWS = "JSON Lines, JSON, CSV, TSV or plain text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row. What it has decides which tasks can use it."""

    row: int  # its line in the file, from 1
    text: str = ""  # to be foretold
    prompt: str = ""  # to be continued or answered
    references: tuple[str, ...] = ()  # good answers
    choices: tuple[str, ...] = ()  # answers to choose from
    answer: int | None = None  # the place of the right one among `choices`


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, and why."""

    row: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examples:
    """The rows of one source. `digest` is the SHA-256 of its bytes."""

    name: str
    digest: str
    rows: tuple[Example, ...]
    bad_rows: tuple[BadRow, ...] = ()


def read_examples(path: Path, *, skip_bad_rows: bool = False) -> Examples:
    """Return the rows of a file; bad ones are refused together, or left out and told of."""
    if not path.is_file():
        raise EvaluationError(f"There is no file {path}.", f"Give a file of {ROWS}.", param="data")
    return parse_examples(path.read_bytes(), name=path.name, skip_bad_rows=skip_bad_rows)


def parse_examples(content: bytes, *, name: str, skip_bad_rows: bool = False) -> Examples:
    """The same of bytes; the end of `name` says what they are."""
    text = _decoded(content, name)
    good: list[Example] = []
    bad: list[BadRow] = []
    for row, value in _values(text, name):
        found = value if isinstance(value, BadRow) else example_of(row, value)
        (bad if isinstance(found, BadRow) else good).append(found)  # type: ignore[arg-type]
    if bad and not skip_bad_rows:
        raise refusal(name, bad)
    if not good:
        raise EvaluationError(
            f"{name} holds nothing to evaluate on.",
            f"Give a file of {ROWS} with at least one row that has text.",
            param="data",
        )
    digest = hashlib.sha256(content).hexdigest()
    return Examples(name=name, digest=digest, rows=tuple(good), bad_rows=tuple(bad))


def example_of(row: int, value: object) -> Example | BadRow:
    """The example that a row holds, or why it holds none."""
    if isinstance(value, str):
        value = {"text": value}
    if not isinstance(value, dict):
        return BadRow(row, "it is neither an object nor a text")
    text = value.get("text")
    keys = PROMPT_KEYS if text else (*PROMPT_KEYS, *MORE_PROMPT_KEYS)
    prompt = _first(value, keys)
    references = _texts(_first(value, REFERENCE_KEYS))
    choices = _texts(value.get("choices"))
    if not isinstance(text or "", str) or not isinstance(prompt or "", str):
        return BadRow(row, "its text or prompt is no text")
    if choices is None or (references is None and not choices):
        return BadRow(row, "its references or choices are no texts")
    if not (text or "").strip() and not (prompt or "").strip():
        known = ", ".join(("text", *PROMPT_KEYS, *MORE_PROMPT_KEYS))
        return BadRow(row, f"it has no text under any of {known}")
    answer = None
    if choices:
        answer = _place_of(value.get("answer", value.get("label")), choices)
        if answer is None or len(choices) < 2:
            return BadRow(row, "its answer is not one of at least two choices")
        references = (choices[answer],)
    return Example(
        row=row,
        text=text or "",
        prompt=prompt or "",
        references=references or (),
        choices=choices,
        answer=answer,
    )


def _decoded(content: bytes, name: str) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise EvaluationError(
            f"{name} is not UTF-8: byte {error.start}, in line {line}.",
            f"Convert it, as with `iconv -f LATIN1 -t UTF-8 {name}`, or remove that line.",
            param="data",
        ) from None


def _values(text: str, name: str) -> Iterator[tuple[int, object]]:
    match Path(name).suffix.lower():
        case ".jsonl" | ".ndjson":
            yield from _json_lines(text)
        case ".json":
            yield from _json_list(text, name)
        case ".csv":
            yield from _table_rows(text, ",")
        case ".tsv":
            yield from _table_rows(text, "\t")
        case ".txt" | ".md" | ".text" | ".raw" | ".tokens":
            if text.strip():
                yield 1, text  # one document, however many lines
        case ending:
            raise EvaluationError(
                f"{name} ends in {ending or 'nothing'}, which says nothing of its rows.",
                f"Give a file of {ROWS}: .jsonl, .json, .csv, .tsv, .txt.",
                param="data",
            )


def _json_lines(text: str) -> Iterator[tuple[int, object]]:
    for row, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield row, json.loads(line)
            except ValueError as error:
                yield row, BadRow(row, f"it is not valid JSON ({error})")


def _json_list(text: str, name: str) -> Iterator[tuple[int, object]]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise EvaluationError(
            f"{name} is not valid JSON: {error}.", "Mend it, or name it .jsonl.", param="data"
        ) from None
    if not isinstance(values, list):
        raise EvaluationError(f"{name} holds no list.", "Write a list of objects.", param="data")
    yield from enumerate(values, 1)


def _table_rows(text: str, delimiter: str) -> Iterator[tuple[int, object]]:
    """Rows under a heading; several choices in one cell are separated by `|`."""
    reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    for cells in reader:
        row: dict[str, Any] = {key: value for key, value in cells.items() if key is not None}
        if None in cells or None in row.values():
            yield (
                reader.line_num,
                BadRow(reader.line_num, "it has not as many cells as the heading"),
            )
            continue
        if row.get("choices"):
            row["choices"] = row["choices"].split("|")
        yield reader.line_num, row


def _first(value: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((value[key] for key in keys if value.get(key) is not None), None)


def _texts(value: object) -> tuple[str, ...] | None:
    """None where it is neither nothing, a text nor texts. A table's empty cell is nothing."""
    if value is None or value == "":
        return ()
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    return None


def _place_of(answer: object, choices: Sequence[str]) -> int | None:
    """An answer is the place of a choice, its letter, or its text."""
    if isinstance(answer, str):
        if answer in choices:
            return choices.index(answer)
        if len(answer) == 1 and answer.isalpha():
            answer = ord(answer.upper()) - ord("A")
        elif answer.isdecimal():
            answer = int(answer)
    is_place = isinstance(answer, int) and not isinstance(answer, bool)
    return answer if is_place and 0 <= answer < len(choices) else None  # type: ignore[operator,return-value]


def refusal(name: str, bad: Sequence[BadRow]) -> EvaluationError:
    """That there are rows which cannot be used, with the first of them."""
    told = "; ".join(f"line {row.row}: {row.why}" for row in bad[:MAX_TOLD])
    more = f"; and {len(bad) - MAX_TOLD} more" if len(bad) > MAX_TOLD else ""
    return EvaluationError(
        f"{name} has {len(bad)} rows that cannot be used: {told}{more}.",
        "Mend them, or leave them out with --skip-bad-rows (skip_bad_rows over HTTP).",
        param="data",
    )
