"""From a source to a prepared folder: read, encode, hold some out, write, report.

Memory holds a few hundred kilobytes of text at a time, however large the source.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import RecipeError
from penstock.tracking.durable import flush
from penstock.training.data_report import DataReport, Tally, lengths_of
from penstock.training.encoding import Encoded, Encoder
from penstock.training.named_data import Loader, named_data, read_dataset
from penstock.training.prepared import (
    SPLITS,
    SplitWriter,
    digest_of,
    dtype_for,
    write_index,
)
from penstock.training.prose import prose_rows
from penstock.training.recipe import DataSource
from penstock.training.rows import BadRow, Row, Rows, read_files
from penstock.training.segments import (
    Kind,
    Segment,
    UnusableRow,
    chat_segments,
    detect_format,
    prompt_and_completion,
    text_of,
)

BATCH_BYTES = 1 << 19  # of text that is encoded at once
HASHED_CHARACTERS = 500
Watcher = Callable[[int], None]  # told how many bytes of the source were read


@dataclass(frozen=True, slots=True, kw_only=True)
class Preparation:
    """How a source is prepared; `held_out` is a share, or a split of its own."""

    source: DataSource
    encoder: Encoder
    fraction: float
    validation: DataSource | None = None
    load: Loader | None = None  # stands in for `datasets.load_dataset`
    watch: Watcher = lambda _: None


def prepare(preparation: Preparation, folder: Path, seen: set[bytes] | None = None) -> DataReport:
    """Write a prepared folder and return the report on it. Unusable data raise a RecipeError."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "data.json").unlink(missing_ok=True)
    return _Pipeline(preparation, folder, set() if seen is None else seen).run()


def rows_of(source: DataSource, load: Loader | None = None, seen: set[bytes] | None = None) -> Rows:
    """Yield a source's rows, wherever they come from."""
    if source.clean:
        rows = prose_rows(source, set() if seen is None else seen)
    elif source.dataset is not None:
        rows = read_dataset(source, load)
    else:
        rows = read_files(source)
    for number, row in enumerate(rows):
        if source.max_rows is not None and number >= source.max_rows:
            return
        yield row


def plain_texts(source: DataSource, load: Loader | None = None) -> Iterator[str]:
    """Yield the texts of a source for a tokenizer to learn from; bad rows are passed over."""
    for row in rows_of(source, load):
        if isinstance(row, Row):
            yield from (value for value in row.values.values() if isinstance(value, str))


def is_held_out(document: str, fraction: float) -> bool:
    """Decide by the document's own hash, so that the split never moves."""
    digest = hashlib.sha256(document[:HASHED_CHARACTERS].encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < fraction * 2**64


class _Pipeline:
    def __init__(self, preparation: Preparation, folder: Path, seen: set[bytes]) -> None:
        self._preparation = preparation
        self._encoder = preparation.encoder
        self._folder = folder
        self._seen = seen
        self._tally = Tally()
        self._format = ""
        dtype = dtype_for(self._encoder.vocab_size)
        self._dtype = dtype
        self._writers = {split: SplitWriter(folder, split, dtype) for split in SPLITS}
        self._waiting: list[tuple[str, Row, str]] = []  # split, row and its text
        self._waiting_bytes = 0
        self._begun = dict.fromkeys(SPLITS, False)  # whether a document is under way

    def run(self) -> DataReport:
        try:
            return self._prepared()
        finally:
            for writer in self._writers.values():
                writer.release()

    def _prepared(self) -> DataReport:
        preparation = self._preparation
        self._read(preparation.source, None)
        if preparation.validation is not None:
            self._read(preparation.validation, "validation")
        self._write_waiting()
        self._refuse_unusable()
        kind = self._encoder.kind_of(self._format)
        self._hold_something_out(kind)
        report = self._report()
        self._finish(kind, report)
        return report

    def _read(self, source: DataSource, split: str | None) -> None:
        num_bytes = 0
        load = self._preparation.load
        for row in rows_of(source, load, self._seen):
            if isinstance(row, BadRow):
                self._tally.note_bad(row)
                continue
            self._format = self._format or detect_format(source, row.values)
            try:
                self._take(source, row, split)
                self._tally.num_rows += 1
            except UnusableRow as unusable:
                self._tally.note_bad(BadRow(row.place, str(unusable)))
            num_bytes += row.num_bytes
            self._preparation.watch(num_bytes)

    def _take(self, source: DataSource, row: Row, split: str | None) -> None:
        if self._format == "text":
            text = text_of(source, row.values)
            if not text.strip() and row.share is None:
                raise UnusableRow("has an empty text")
            self._take_text(row, text, split)
            return
        if self._format == "chat":
            self._take_conversation(source, row, split)
            return
        prompt, answer = prompt_and_completion(source, row.values)
        if self._encoder.is_encoder_decoder:
            encoded = self._encoder.pair(prompt, answer)
        else:
            segments = [Segment(prompt, False), Segment(answer, True)]
            encoded = self._encoder.example(segments)
        self._add(encoded, prompt + answer, answer, split)

    def _take_conversation(self, source: DataSource, row: Row, split: str | None) -> None:
        segments = chat_segments(source, row.values, self._encoder.template)
        whole = "".join(segment.text for segment in segments)
        answers = "".join(segment.text for segment in segments if segment.is_counted)
        if not self._encoder.is_encoder_decoder:
            self._add(self._encoder.conversation(segments), whole, answers, split)
            return
        last = max(i for i, segment in enumerate(segments) if segment.is_counted)
        prompt = "".join(segment.text for segment in segments[:last])
        self._add(self._encoder.pair(prompt, segments[last].text), whole, answers, split)

    def _take_text(self, row: Row, text: str, split: str | None) -> None:
        if split is None:
            split = self._split_of(row, text)
        if row.share is None:
            self._tally.note_document(text)
        elif row.ends_document:
            self._tally.num_documents += 1
        self._waiting.append((split, row, text))
        self._waiting_bytes += len(text)
        if self._waiting_bytes >= BATCH_BYTES:
            self._write_waiting()

    def _split_of(self, row: Row, text: str) -> str:
        preparation = self._preparation
        if preparation.validation is not None:
            return "train"
        if row.share is not None:  # the end of a long text is held out
            return "validation" if row.share >= 1 - preparation.fraction else "train"
        return "validation" if is_held_out(text, preparation.fraction) else "train"

    def _write_waiting(self) -> None:
        encodings = self._encoder.texts([text for _, _, text in self._waiting])
        for (split, row, text), ids in zip(self._waiting, encodings, strict=True):
            beginning = () if self._begun[split] else self._encoder.begin_ids
            end = (self._encoder.eos_id,) if row.ends_document else ()
            self._writers[split].add([*beginning, *ids, *end])
            self._writers[split].note(text)
            self._begun[split] = not row.ends_document
        self._waiting.clear()
        self._waiting_bytes = 0

    def _add(self, encoded: Encoded, whole: str, answer: str, split: str | None) -> None:
        held_out = self._preparation.validation is None and is_held_out(
            whole, self._preparation.fraction
        )
        writer = self._writers[split or ("validation" if held_out else "train")]
        writer.add(encoded.ids, encoded.counted)
        writer.note(answer)
        self._tally.note_document(whole)
        self._tally.num_cut += encoded.was_cut
        self._tally.num_counted += sum(encoded.counted)

    def _refuse_unusable(self) -> None:
        source, tally = self._preparation.source, self._tally
        total = sum(writer.num_tokens for writer in self._writers.values())
        if tally.num_bad_rows and (source.bad_rows == "stop" or not total):
            more = tally.num_bad_rows - len(tally.bad_rows)
            listed = " ".join(tally.bad_rows) + (f" And {more:,} more." if more else "")
            raise RecipeError(
                f"{tally.num_bad_rows:,} of {tally.num_rows + tally.num_bad_rows:,} rows cannot be "
                f"used: {listed}",
                "Mend them, or set bad_rows: skip (--skip-bad-rows) to leave them out."
                if total
                else "Mend them.",
                param="data",
            )
        if total < 2:
            raise RecipeError(
                f"{source.label} holds no text.",
                "Give a source with at least one text or one example.",
                param="data",
            )

    def _hold_something_out(self, kind: Kind) -> None:
        """See to it that there is something to train on and something to score."""
        train, validation = (self._writers[split] for split in SPLITS)
        if train.num_tokens == 0:
            for length in validation.lengths().tolist()[::-1]:
                self._move(validation, train, length)
        if validation.num_tokens >= 2:
            return
        if kind == "text" and train.num_tokens >= 8:
            wanted = max(2, round(self._preparation.fraction * train.num_tokens))
            self._move(train, validation, wanted)
            note = f"the last {wanted:,} tokens are held out, for no whole document fell to that"
        elif kind != "text" and train.num_documents >= 2:
            self._move(train, validation, int(train.lengths()[-1]))
            note = "the last example is held out, for none fell to that by its hash"
        else:
            piece = train.last(train.num_tokens)
            validation.add(piece.ids, piece.counted)
            validation.note(self._encoder.tokenizer.decode(piece.ids))
            note = "there is so little that all of it is scored too: the validation loss is no test"
        self._tally.notes.append(note)

    def _move(self, source: SplitWriter, target: SplitWriter, num_tokens: int) -> None:
        piece = source.last(num_tokens)
        text = self._encoder.tokenizer.decode(piece.ids)
        source.drop_last(num_tokens)
        target.add(piece.ids, piece.counted)
        target.note(text)
        source.num_words -= len(text.split())
        source.num_bytes -= len(text.encode())

    def _report(self) -> DataReport:
        preparation, tally = self._preparation, self._tally
        source = preparation.source
        stated = named_data(source).licence if source.dataset is not None else "not stated"
        train, validation = (self._writers[split] for split in SPLITS)
        if tally.num_duplicates * 20 > tally.num_documents:
            tally.notes.append("more than one in twenty is a duplicate: consider removing them")
        return DataReport(
            source=source.label,
            format=self._format,
            licence=source.licence or stated,
            num_rows=tally.num_rows,
            num_bytes=train.num_bytes + validation.num_bytes,
            num_documents=tally.num_documents,
            num_train_tokens=train.num_tokens,
            num_validation_tokens=validation.num_tokens,
            num_counted_tokens=tally.num_counted or train.num_tokens + validation.num_tokens,
            lengths=lengths_of((train, validation)),
            num_duplicates=tally.num_duplicates,
            num_cut=tally.num_cut,
            block_size=self._encoder.max_length,
            num_bad_rows=tally.num_bad_rows,
            bad_rows=tuple(tally.bad_rows),
            notes=tuple(tally.notes),
        )

    def _finish(self, kind: Kind, report: DataReport) -> None:
        sizes = {split: writer.close() for split, writer in self._writers.items()}
        for path in self._folder.iterdir():
            flush(path)
        index = {
            "kind": kind,
            "dtype": self._dtype.name,
            "vocab_size": self._encoder.vocab_size,
            "eos_id": self._encoder.eos_id,
            "tokenizer": tokenizer_digest(self._encoder),
            "block_size": self._encoder.max_length,
            "splits": sizes,
            "digest": digest_of(self._folder),
            "report": report.as_dict(),
        }
        write_index(self._folder, index)


def tokenizer_digest(encoder: Encoder) -> str:
    """Return a SHA-256 by which a tokenizer is known again."""
    return hashlib.sha256(encoder.tokenizer.to_str().encode()).hexdigest()
