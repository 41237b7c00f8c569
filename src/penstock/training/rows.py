"""Rows of text, JSONL, CSV and Parquet files and folders, one after another, with their places.

What cannot be read becomes a `BadRow` that names its line; memory holds one row, however large the
file. Knows nothing of what the columns mean.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from penstock.errors import RecipeError
from penstock.training.recipe import DataSource

PIECE_BYTES = 1 << 18  # of a text file, which is read in pieces that end at line ends
MIN_PIECE_BYTES = 1 << 14
TEXT_SUFFIXES = (".txt", ".text", ".md", ".tokens", ".raw", ".py", ".rst")
JSON_SUFFIXES = (".jsonl", ".ndjson")
TABLE_SUFFIXES = (".csv", ".tsv")
PARQUET_SUFFIX = ".parquet"
SUFFIXES = (*TEXT_SUFFIXES, *JSON_SUFFIXES, *TABLE_SUFFIXES, PARQUET_SUFFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One record, or a piece of a long text; `share` is how far into its file it begins."""

    place: str
    values: Mapping[str, Any] = field(default_factory=dict)
    num_bytes: int = 0
    ends_document: bool = True
    share: float | None = None  # 0 to 1, for pieces of a text file only


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used, where it stands, and why."""

    place: str
    why: str


Rows = Iterator[Row | BadRow]


def read_files(source: DataSource) -> Rows:
    """Yield the rows of a file, or of all files in a folder in the order of their names."""
    assert source.path is not None
    for path in files_of(source.path):
        yield from _reader_of(path)(path, source)


def files_of(path: Path) -> list[Path]:
    """The files that a source's path stands for."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise RecipeError(f"There is no data file at {path}.", "Mend its path.", param="data.path")
    found = sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in SUFFIXES)
    if not found:
        raise RecipeError(
            f"The folder {path} holds no file of a kind that is read.",
            f"Known are {', '.join(SUFFIXES)}.",
            param="data.path",
        )
    return found


def is_plain_text(path: Path) -> bool:
    """Whether a file is one long text rather than rows."""
    return path.suffix.lower() not in (*JSON_SUFFIXES, *TABLE_SUFFIXES, PARQUET_SUFFIX)


def _reader_of(path: Path) -> Any:
    suffix = path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        return _read_json_lines
    if suffix in TABLE_SUFFIXES:
        return _read_table
    if suffix == PARQUET_SUFFIX:
        return _read_parquet
    if suffix == ".json":
        raise RecipeError(
            f"{path} is one JSON value, which cannot be read row by row.",
            "Write one object per line and call the file .jsonl.",
            param="data.path",
        )
    return _read_text


def _read_json_lines(path: Path, _: DataSource) -> Rows:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            place = f"{path}, line {number}"
            try:
                values = json.loads(line)
            except UnicodeDecodeError as error:
                yield BadRow(place, f"is not UTF-8 (byte {error.start + 1} of the line)")
            except (ValueError, RecursionError) as error:
                yield BadRow(place, f"is not valid JSON ({error})")
            else:
                if isinstance(values, dict):
                    yield Row(place=place, values=values, num_bytes=len(line))
                else:
                    yield BadRow(place, f"is a {type(values).__name__}, not an object {{…}}")


def _read_table(path: Path, source: DataSource) -> Rows:
    csv.field_size_limit(1 << 30)
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding=source.encoding, errors="surrogateescape", newline="") as lines:
        table = csv.reader(lines, delimiter=delimiter)
        heading = next(table, [])
        heading = [name.removeprefix("\ufeff") for name in heading]
        first = table.line_num + 1
        while True:
            place = f"{path}, line {first}"
            try:
                cells = next(table, None)
            except csv.Error as error:
                yield BadRow(place, f"is not valid CSV ({error})")
                return
            if cells is None:
                return
            first = table.line_num + 1
            if cells:
                yield _table_row(place, heading, cells)


def _table_row(place: str, heading: list[str], cells: list[str]) -> Row | BadRow:
    if len(cells) != len(heading):
        return BadRow(place, f"has {len(cells)} columns; the first line names {len(heading)}")
    if any(_is_undecoded(cell) for cell in cells):
        return BadRow(place, "is not in the file's encoding; set `encoding`, e.g. latin-1")
    size = sum(map(len, cells))
    return Row(place=place, values=dict(zip(heading, cells, strict=True)), num_bytes=size)


def _is_undecoded(text: str) -> bool:
    return not text.isascii() and any("\udc80" <= c <= "\udcff" for c in text)


def _read_parquet(path: Path, _: DataSource) -> Rows:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ImportError:
        raise RecipeError(
            f"{path} needs pyarrow to be read.", 'Install it: pip install "penstock[train]".'
        ) from None
    try:
        table = ParquetFile(path)
    except ArrowInvalid as error:
        raise RecipeError(
            f"{path} is not a Parquet file ({error}).", "Fetch it again.", param="data.path"
        ) from None
    number = 0
    for batch in table.iter_batches(batch_size=256):
        for values in batch.to_pylist():
            number += 1
            size = sum(len(v) for v in values.values() if isinstance(v, str))
            yield Row(place=f"{path}, row {number}", values=values, num_bytes=size)


def _read_text(path: Path, source: DataSource) -> Rows:
    size = path.stat().st_size
    piece_bytes = max(MIN_PIECE_BYTES, min(PIECE_BYTES, size // 64))
    line_number, read = 1, 0
    with path.open("rb") as file:
        while piece := file.readlines(piece_bytes):
            raw = b"".join(piece)
            place = f"{path}, line {line_number}"
            is_last = read + len(raw) >= size
            try:
                text = raw.decode(source.encoding).replace("\r\n", "\n")
            except UnicodeDecodeError as error:
                line = line_number + raw[: error.start].count(b"\n")
                yield BadRow(
                    f"{path}, line {line}",
                    f"is not {source.encoding} text; save it so, or set `encoding`, e.g. latin-1",
                )
            else:
                yield Row(
                    place=place,
                    values={source.text_key: text},
                    num_bytes=len(raw),
                    ends_document=is_last,
                    share=read / size,
                )
            read += len(raw)
            line_number += len(piece)
