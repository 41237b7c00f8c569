"""Batches mixed from several token streams by weight, resumable at any step.

Each source is read document after document in an order shuffled anew for each pass, so that every
token is seen once before any is seen twice. Knows nothing of models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor

from penstock.training.prepared import TokenizedSource, Tokens

NOT_COUNTED = -100  # the label of what is not learnt, as everywhere in PyTorch
WIDTH_STEP = 8  # rows of examples are padded to a multiple of this


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How often a source was read through, and how many tokens or examples of the present pass."""

    passes: int
    offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """What one forward pass takes, and what it should foretell: `labels` (rows, length)."""

    inputs: dict[str, Tensor]
    labels: Tensor
    num_counted: int
    num_tokens: int

    def share(self, rank: int, num_processes: int) -> "Batch":
        """The rows that one of several processes computes."""
        if num_processes == 1:
            return self
        rows = slice(rank, None, num_processes)
        inputs = {
            name: tensor if name == "position_ids" else tensor[rows]
            for name, tensor in self.inputs.items()
        }
        return replace(self, inputs=inputs, labels=self.labels[rows])


class TokenStream:
    """Reads one source without end. Owns its position and the present pass's order."""

    def __init__(self, source: TokenizedSource, seed: int) -> None:
        self._source = source
        self._seed = seed
        self._starts = np.concatenate([[0], source.ends[:-1]]).astype(np.int64)
        self._lengths = np.asarray(source.ends) - self._starts
        self.seek(StreamPosition(passes=0, offset=0))

    @property
    def position(self) -> StreamPosition:
        return StreamPosition(passes=self._passes, offset=self._offset)

    def seek(self, position: StreamPosition) -> None:
        """Continue from a position that an equal stream had."""
        self._passes, self._offset = position.passes, position.offset
        generator = np.random.default_rng(self._seed + position.passes)
        self._order = generator.permutation(len(self._starts))
        self._ends = np.cumsum(self._lengths[self._order])

    def read(self, count: int) -> Tokens:
        """Return the next tokens, going on into the next pass where this one ends."""
        parts = []
        while count > 0:
            if self._offset >= self._ends[-1]:
                self.seek(StreamPosition(passes=self._passes + 1, offset=0))
            place = int(np.searchsorted(self._ends, self._offset, side="right"))
            number = self._order[place]
            left = int(self._ends[place]) - self._offset
            start = int(self._starts[number] + self._lengths[number]) - left
            part = np.asarray(self._source.tokens[start : start + min(count, left)])
            parts.append(part)
            count -= len(part)
            self._offset += len(part)
        return np.concatenate(parts)

    def read_example(self) -> int:
        """Return the number of the next example; the offset counts examples."""
        if self._offset >= len(self._order):
            self.seek(StreamPosition(passes=self._passes + 1, offset=0))
        self._offset += 1
        return int(self._order[self._offset - 1])


class MixedBatches:
    """Draws each row of a batch from one of several streams. Owns the streams and the draw."""

    def __init__(self, sources: Sequence[TokenizedSource], *, seed: int) -> None:
        self._sources = list(sources)
        self._streams = [TokenStream(s, seed=1000 * (i + 1) + seed) for i, s in enumerate(sources)]
        self._seed = seed

    def next(self, num_rows: int, block_size: int, weights: Sequence[float]) -> Tensor:
        """Return (num_rows, block_size + 1) token ids."""
        rows = [self._streams[i].read(block_size + 1) for i in self._choices(num_rows, weights)]
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def next_examples(self, num_rows: int, weights: Sequence[float], *, pad_id: int) -> Batch:
        """Return that many examples or pairs, padded to one width."""
        chosen = [(i, self._streams[i].read_example()) for i in self._choices(num_rows, weights)]
        return collate([example_of(self._sources[i], number) for i, number in chosen], pad_id)

    def draw_below(self, limit: int) -> int:
        """Return a whole number from 0 up to `limit`, drawn anew for each batch."""
        return int(np.random.default_rng([self._seed, 1, *self._place()]).integers(limit))

    def _choices(self, num_rows: int, weights: Sequence[float]) -> list[int]:
        chances = np.asarray(weights) / sum(weights)
        generator = np.random.default_rng([self._seed, *self._place()])
        return [int(i) for i in generator.choice(len(self._streams), size=num_rows, p=chances)]

    def _place(self) -> list[int]:
        return [n for stream in self._streams for n in asdict(stream.position).values()]

    def state(self) -> list[dict[str, int]]:
        """Return the positions as plain numbers."""
        return [asdict(stream.position) for stream in self._streams]

    def restore(self, state: list[dict[str, int]]) -> None:
        """Continue from what `state` returned."""
        for stream, position in zip(self._streams, state, strict=True):
            stream.seek(StreamPosition(**position))


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example: the tokens, and which of them are counted; of a pair, the counted are apart."""

    ids: Tensor  # (length,)
    counted: Tensor  # (length,) bool
    is_pair: bool


def example_of(source: TokenizedSource, number: int) -> Example:
    """Return one example of a source."""
    assert source.counted is not None
    place = source.document(number)
    return Example(
        ids=torch.from_numpy(np.asarray(source.tokens[place]).astype(np.int64)),
        counted=torch.from_numpy(np.array(source.counted[place])),
        is_pair=source.kind == "pairs",
    )


def packed(rows: Tensor, first_position: int) -> Batch:
    """Make a batch of full rows (rows, length + 1), of which every token is counted."""
    length = rows.shape[1] - 1
    positions = torch.arange(first_position, first_position + length)[None]
    return Batch(
        inputs={"input_ids": rows[:, :-1], "position_ids": positions},
        labels=rows[:, 1:],
        num_counted=rows.shape[0] * length,
        num_tokens=rows.shape[0] * length,
    )


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad examples on the right, where a causal model cannot see it; or pairs, with a mask."""
    if examples[0].is_pair:
        return _collate_pairs(examples, pad_id)
    ids = _padded([e.ids[:-1] for e in examples], pad_id)
    labels = _padded(
        [e.ids[1:].masked_fill(~e.counted[1:], NOT_COUNTED) for e in examples], NOT_COUNTED
    )
    return Batch(
        inputs={"input_ids": ids},
        labels=labels,
        num_counted=int((labels != NOT_COUNTED).sum()),
        num_tokens=sum(len(e.ids) - 1 for e in examples),
    )


def _collate_pairs(examples: Sequence[Example], pad_id: int) -> Batch:
    sources = [e.ids[~e.counted] for e in examples]
    targets = [e.ids[e.counted] for e in examples]
    labels = _padded(targets, NOT_COUNTED)
    begun = torch.cat([torch.full((len(labels), 1), pad_id), labels[:, :-1]], dim=1)
    return Batch(
        inputs={
            "input_ids": _padded(sources, pad_id),
            "attention_mask": _padded([torch.ones_like(s) for s in sources], 0),
            "decoder_input_ids": begun.masked_fill(begun == NOT_COUNTED, pad_id),
        },
        labels=labels,
        num_counted=sum(map(len, targets)),
        num_tokens=sum(len(e.ids) for e in examples),
    )


def _padded(rows: Sequence[Tensor], value: int) -> Tensor:
    longest = max(len(row) for row in rows)
    width = -(-longest // WIDTH_STEP) * WIDTH_STEP
    batch = torch.full((len(rows), width), value)
    for i, row in enumerate(rows):
        batch[i, : len(row)] = row
    return batch


def validation_batches(
    source: TokenizedSource, *, block_size: int, batch_size: int, max_batches: int
) -> Iterator[Tensor]:
    """Yield the same batches every time, spread evenly over the held-out documents."""
    length = min(block_size + 1, len(source.tokens))
    num_rows = len(source.tokens) // length
    rows = source.tokens[: num_rows * length].reshape(num_rows, length)
    wanted = min(num_rows, batch_size * max_batches)
    chosen = rows[np.linspace(0, num_rows - 1, wanted).astype(np.int64)]
    for start in range(0, wanted, batch_size):
        yield torch.from_numpy(chosen[start : start + batch_size].astype(np.int64))


def validation_examples(
    source: TokenizedSource, *, batch_size: int, max_batches: int, pad_id: int
) -> Iterator[Batch]:
    """Yield the same batches of examples every time, spread evenly."""
    wanted = min(len(source.ends), batch_size * max_batches)
    numbers = np.linspace(0, len(source.ends) - 1, wanted).astype(np.int64).tolist()
    for start in range(0, wanted, batch_size):
        yield collate([example_of(source, n) for n in numbers[start : start + batch_size]], pad_id)
