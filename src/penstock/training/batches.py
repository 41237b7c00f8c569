"""Batches mixed from several token streams by weight, resumable at any step.

Each source is read document after document in an order shuffled anew for each pass, so that every
token is seen once before any is seen twice. Knows nothing of models.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from penstock.training.corpus import TokenizedSource, Tokens


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """How often a source was read through, and how many tokens of the present pass are used."""

    passes: int
    offset: int


class TokenStream:
    """Reads one source without end. Owns its position and the present pass's token order."""

    def __init__(self, source: TokenizedSource, seed: int) -> None:
        self._source = source
        self._seed = seed
        self.seek(StreamPosition(passes=0, offset=0))

    @property
    def position(self) -> StreamPosition:
        return StreamPosition(passes=self._passes, offset=self._offset)

    def seek(self, position: StreamPosition) -> None:
        """Continue from a position that an equal stream had."""
        self._passes, self._offset = position.passes, position.offset
        self._tokens = _shuffled(self._source, seed=self._seed + position.passes)

    def read(self, count: int) -> Tokens:
        """Return the next tokens, going on into the next pass where this one ends."""
        parts = []
        while count > 0:
            part = self._tokens[self._offset : self._offset + count]
            parts.append(part)
            count -= len(part)
            self._offset += len(part)
            if count > 0:
                self.seek(StreamPosition(passes=self._passes + 1, offset=0))
        return np.concatenate(parts)


class MixedBatches:
    """Draws each row of a batch from one of several streams. Owns the streams and the draw."""

    def __init__(self, sources: Sequence[TokenizedSource], *, seed: int) -> None:
        self._streams = [TokenStream(s, seed=1000 * (i + 1) + seed) for i, s in enumerate(sources)]
        self._seed = seed

    def next(self, num_rows: int, block_size: int, weights: Sequence[float]) -> Tensor:
        """Return (num_rows, block_size + 1) token ids."""
        chances = np.asarray(weights) / sum(weights)
        choices = np.random.default_rng([self._seed, *self._place()]).choice(
            len(self._streams), size=num_rows, p=chances
        )
        rows = [self._streams[choice].read(block_size + 1) for choice in choices]
        return torch.from_numpy(np.stack(rows).astype(np.int64))

    def draw_below(self, limit: int) -> int:
        """Return a whole number from 0 up to `limit`, drawn anew for each batch."""
        return int(np.random.default_rng([self._seed, 1, *self._place()]).integers(limit))

    def _place(self) -> list[int]:
        return [n for stream in self._streams for n in asdict(stream.position).values()]

    def state(self) -> list[dict[str, int]]:
        """Return the positions as plain numbers."""
        return [asdict(stream.position) for stream in self._streams]

    def restore(self, state: list[dict[str, int]]) -> None:
        """Continue from what `state` returned."""
        for stream, position in zip(self._streams, state, strict=True):
            stream.seek(StreamPosition(**position))


def validation_batches(
    source: TokenizedSource, *, block_size: int, batch_size: int, max_batches: int
) -> Iterator[Tensor]:
    """Yield the same batches every time, spread evenly over the held-out documents."""
    num_rows = len(source.tokens) // (block_size + 1)
    rows = source.tokens[: num_rows * (block_size + 1)].reshape(num_rows, block_size + 1)
    wanted = min(num_rows, batch_size * max_batches)
    chosen = rows[np.linspace(0, num_rows - 1, wanted).astype(np.int64)]
    for start in range(0, wanted, batch_size):
        yield torch.from_numpy(chosen[start : start + batch_size].astype(np.int64))


def _shuffled(source: TokenizedSource, *, seed: int) -> Tokens:
    starts: NDArray[np.int64] = np.concatenate([[0], source.ends[:-1]]).astype(np.int64)
    order = np.random.default_rng(seed).permutation(len(starts))
    return np.concatenate([source.tokens[starts[i] : source.ends[i]] for i in order])
