"""Parts of an engine that fail on purpose: a family, a constraint and a tokenizer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from penstock.model.kv_cache import KVCache
from penstock.ops.interface import ForwardBatch

Fail = Callable[[], None]


def raise_error() -> None:
    raise RuntimeError("a fault was injected")


def raise_memory() -> None:
    raise MemoryError


@dataclass
class Countdown:
    """Calls `fail` at the `at`-th tick, and with `lasts` at every one after it."""

    at: int
    fail: Fail
    lasts: bool = True
    num_ticks: int = 0
    has_failed: bool = False

    def tick(self) -> None:
        self.num_ticks += 1
        if self.num_ticks == self.at or (self.lasts and self.num_ticks > self.at):
            self.has_failed = True
            self.fail()


@dataclass
class FaultyFamily:
    """A family that fails on the sequences of one prompt: those that begin with `marker`.

    Sequences are told apart by their first block, so a prompt must fill at least one.
    """

    inner: Any
    marker: int | None  # `None`: whoever takes part
    countdown: Countdown
    gives_nan: bool = False
    _guilty_blocks: set[int] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def forward(self, batch: ForwardBatch, cache: KVCache) -> Tensor:
        guilty = self._guilty(batch)
        logits: Tensor = self.inner.forward(batch, cache)  # the cache is written by then
        if guilty:
            self.countdown.tick()
        if guilty and self.gives_nan and self.countdown.num_ticks >= self.countdown.at:
            self.countdown.has_failed = True
            rows = [j for j, row in enumerate(batch.output_rows.tolist()) if row in guilty]
            logits[rows] = float("nan")
        return logits

    def _guilty(self, batch: ForwardBatch) -> set[int]:
        """The packed rows of the sequences to fail."""
        starts = batch.query_starts.tolist()
        rows: set[int] = set()
        for i, (start, end) in enumerate(pairwise(starts)):
            first_block = int(batch.block_tables[i, 0])
            if int(batch.positions[start]) == 0:
                is_guilty = int(batch.token_ids[start]) == self.marker
                (self._guilty_blocks.add if is_guilty else self._guilty_blocks.discard)(first_block)
            if self.marker is None or first_block in self._guilty_blocks:
                rows |= set(range(start, end))
        return rows


@dataclass
class FaultyFollower:
    """Allows every token until its time has come. `mask` is then what it allows."""

    vocab_size: int
    countdown: Countdown
    mask: Tensor | None = None

    def follow(self, executor: object) -> "FaultyFollower":
        return self

    def fork(self, token_id: int) -> "FaultyFollower":
        return self

    def advance(self, token_id: int) -> None:
        pass

    def accepts(self, text: bytes) -> bool:
        return True

    def allowed(self) -> Tensor:
        self.countdown.tick()
        if self.countdown.has_failed and self.mask is not None:
            return self.mask
        return torch.ones(self.vocab_size, dtype=torch.bool)


@dataclass
class FaultyTokenizer:
    """A tokenizer that fails to spell a token, whosesoever it is."""

    inner: Any
    countdown: Countdown
    is_armed: bool = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def token_bytes(self, token_id: int) -> bytes:
        if self.is_armed:
            self.countdown.tick()
        spelled: bytes = self.inner.token_bytes(token_id)
        return spelled
