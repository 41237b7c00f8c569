"""What is known of data before a run: sizes, lengths, doubles, cuts, bad rows, licence.

Counts while data are read; knows no tokenizer and no model.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.training.prepared import SplitWriter
from penstock.training.rows import BadRow

SHOWN_BAD_ROWS = 20
MAX_COMPARED = 5_000_000  # documents that are remembered to find doubles; some 400 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """How long documents are, in tokens."""

    shortest: int
    median: int
    longer_than_95_percent: int
    longest: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataReport:
    """The report on one prepared source."""

    source: str
    format: str
    licence: str
    num_rows: int
    num_bytes: int
    num_documents: int
    num_train_tokens: int
    num_validation_tokens: int
    num_counted_tokens: int  # that enter the loss
    lengths: Lengths
    num_duplicates: int
    num_cut: int
    block_size: int
    num_bad_rows: int
    bad_rows: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return the report as lines for a person."""
        total = self.num_train_tokens + self.num_validation_tokens
        is_text = self.format == "text"  # of others only the answers' bytes were counted
        named = [
            ("source", f"{self.source} ({self.format}, {self.num_rows:,} rows)"),
            (
                "tokens",
                f"{self.num_train_tokens:,} to train on, {self.num_validation_tokens:,} held out"
                + (f"; {self.num_bytes / max(1, total):.2f} bytes per token" if is_text else ""),
            ),
            *self._answer_line(),
            ("lengths", self._length_line()),
            ("duplicates", f"{self.num_duplicates:,} of {self.num_documents:,} were seen before"),
            ("truncated", self._cut_line()),
            ("bad rows", f"{self.num_bad_rows:,} left out" if self.num_bad_rows else "none"),
            *[("", row) for row in self.bad_rows],
            ("licence", self.licence),
            *[("note", note) for note in self.notes],
        ]
        return [f"  {name:<11}{text}" for name, text in named]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for `data.json`."""
        return asdict(self)

    def _answer_line(self) -> list[tuple[str, str]]:
        if self.format == "text":
            return []
        return [("learnt", f"{self.num_counted_tokens:,} tokens are answers and enter the loss")]

    def _length_line(self) -> str:
        lengths = self.lengths
        return (
            f"{lengths.shortest:,} to {lengths.longest:,} tokens; half have at most "
            f"{lengths.median:,}, 95 % at most {lengths.longer_than_95_percent:,}"
        )

    def _cut_line(self) -> str:
        if self.format == "text":
            return f"nothing: texts are packed into blocks of {self.block_size:,} tokens"
        if not self.num_cut:
            return f"nothing is longer than block_size={self.block_size:,}"
        return f"{self.num_cut:,} examples are longer than block_size={self.block_size:,} and cut"


@dataclass(slots=True)
class Tally:
    """Counts what passes by. Owns the set of documents seen."""

    num_rows: int = 0
    num_documents: int = 0
    num_duplicates: int = 0
    num_cut: int = 0
    num_counted: int = 0
    num_bad_rows: int = 0
    bad_rows: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _seen: set[bytes] = field(default_factory=set)

    def note_bad(self, bad: BadRow) -> None:
        """Count a row that cannot be used; the first few are kept word for word."""
        self.num_bad_rows += 1
        if len(self.bad_rows) < SHOWN_BAD_ROWS:
            self.bad_rows.append(f"{bad.place}, {bad.why}.")

    def note_document(self, text: str) -> None:
        """Count a document, and whether an equal one was there before."""
        self.num_documents += 1
        key = blake2b(text.strip().encode("utf-8", "surrogatepass"), digest_size=8).digest()
        if key in self._seen:
            self.num_duplicates += 1
        elif len(self._seen) < MAX_COMPARED:
            self._seen.add(key)


def lines_of(report: dict[str, Any]) -> list[str]:
    """Return the lines of a report that `data.json` holds."""
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in report.items()}
    values["lengths"] = Lengths(**report["lengths"])
    return DataReport(**values).lines()


def lengths_of(writers: Sequence[SplitWriter]) -> Lengths:
    """Measure the documents of all splits."""
    sizes: NDArray[np.int64] = np.concatenate([writer.lengths() for writer in writers])
    if len(sizes) == 0:
        return Lengths(shortest=0, median=0, longer_than_95_percent=0, longest=0)
    median, most = np.percentile(sizes, [50, 95], method="lower")
    return Lengths(
        shortest=int(sizes.min()),
        median=int(median),
        longer_than_95_percent=int(most),
        longest=int(sizes.max()),
    )
