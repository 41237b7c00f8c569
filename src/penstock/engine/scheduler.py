"""Decides what the next step computes. Plain Python: no tensors, no clock, no modes.

A new sequence has its whole prompt pending, a running one its last token; that is all the
difference there is between prefill and decode.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from penstock.engine.block_manager import BlockManager
from penstock.engine.fair_queue import FairQueue
from penstock.engine.sequence import Sequence


class Schedulable(Protocol):
    """A request as the scheduler sees it: its live sequences and on whose behalf they are."""

    @property
    def live(self) -> Iterable[Sequence]: ...

    @property
    def tenant(self) -> str: ...

    @property
    def num_to_compute(self) -> int:
        """The tokens of its live sequences that are not computed yet."""


R = TypeVar("R", bound=Schedulable)


@dataclass(frozen=True, slots=True)
class Planned(Generic[R]):
    """The next step computes the first `num_tokens` pending tokens of this sequence."""

    request: R
    sequence: Sequence
    num_tokens: int

    @property
    def completes(self) -> bool:
        """Whether the sequence has caught up after this step, so that its logits are wanted."""
        return self.num_tokens == self.sequence.num_pending

    @property
    def num_outputs(self) -> int:
        """How many rows of logits the strategy wants: the last, and one after each guess."""
        return 1 + self.sequence.num_guesses if self.completes else 0

    @property
    def scored(self) -> range:
        """The positions whose logits are wanted to score the prompt's next token."""
        sequence = self.sequence
        if sequence.scores_from is None:
            return range(0)
        end = min(sequence.num_computed + self.num_tokens, sequence.num_prompt - 1)
        return range(max(sequence.num_computed, sequence.scores_from), end)

    @property
    def pooled(self) -> range:
        """The positions of the prompt whose final hidden states are wanted."""
        sequence = self.sequence
        if sequence.pools_from is None:
            return range(0)
        end = min(sequence.num_computed + self.num_tokens, sequence.num_prompt)
        return range(max(sequence.num_computed, sequence.pools_from), end)


class Scheduler(Generic[R]):
    """Within a budget of tokens and blocks, first come, first served within each tenant."""

    def __init__(self, blocks: BlockManager, *, max_batch_tokens: int, max_sequences: int) -> None:
        self._blocks = blocks
        self._max_batch_tokens = max_batch_tokens
        self._max_sequences = max_sequences
        self._running: list[R] = []
        self._waiting: FairQueue[R] = FairQueue()

    @property
    def num_running(self) -> int:
        return len(self._running)

    @property
    def num_waiting(self) -> int:
        return len(self._waiting)

    @property
    def has_work(self) -> bool:
        return bool(self._running or self._waiting)

    @property
    def waiting(self) -> Iterator[R]:
        """Who waits, in the order in which they would be admitted if nobody else came."""
        return self._waiting.in_order()

    def add(self, request: R) -> None:
        self._waiting.add(request)

    def remove(self, request: R) -> None:
        """Forget a request, wherever it stands, and free its blocks."""
        if request in self._running:
            self._running.remove(request)
        else:
            self._waiting.take(request)
        self._waiting.forget(request)
        self._free_all(request)

    def plan(self) -> list[Planned[R]]:
        """Continue what runs, then admit what waits, within the budgets."""
        num_running = len(self._running)
        plan = self._continue_running()
        if len(self._running) == num_running:  # admitting after a preemption would only undo it
            plan += self._admit(self._max_batch_tokens - sum(p.num_tokens for p in plan))
        return plan

    def _charge(self, plan: Iterable[Planned[R]]) -> None:
        for planned in plan:
            self._waiting.charge(planned.request.tenant, planned.num_tokens)

    def _continue_running(self) -> list[Planned[R]]:
        """What runs, by arrival. Only the newest can still be reading: all before it write."""
        budget = self._max_batch_tokens
        plan: list[Planned[R]] = []
        for request, sequence in [(r, s) for r in self._running for s in r.live]:
            if not min(sequence.num_pending, budget) or request not in self._running:
                continue
            self._blocks.reuse(sequence)
            self._give_up_guesses_without_room(sequence, budget)
            num_tokens = min(sequence.num_pending, budget)
            if self._reserve_or_preempt(request, sequence, num_tokens):
                plan.append(Planned(request, sequence, num_tokens))
                budget -= num_tokens
        plan = [p for p in plan if p.request in self._running]
        self._charge(plan)
        return plan

    def _give_up_guesses_without_room(self, sequence: Sequence, budget: int) -> None:
        """Guesses never take a block from another request, and are never cut into two steps."""
        sequence.give_up_guesses(max(0, sequence.num_pending - budget))
        if sequence.num_guesses and not self._blocks.reserve(sequence, sequence.num_pending):
            sequence.give_up_guesses()

    def _reserve_or_preempt(self, request: R, sequence: Sequence, num_tokens: int) -> bool:
        """Reserve blocks, taking them from the newest requests if need be, itself included."""
        while not self._blocks.reserve(sequence, num_tokens):
            newest = self._running.pop()
            for preempted in newest.live:
                preempted.give_up_guesses()
            self._free_all(newest)
            self._waiting.put_back(newest)
            if newest is request:
                return False
        return True

    def _admit(self, budget: int) -> list[Planned[R]]:
        plan: list[Planned[R]] = []
        while budget > 0 and self._waiting:
            request = self._waiting.first()
            if not self._has_room_for(request):
                break
            admitted = self._plan_first_step(request, budget)
            if not admitted:
                break
            self._waiting.take(request)
            self._running.append(request)
            self._charge(admitted)
            plan += admitted
            budget -= sum(p.num_tokens for p in admitted) + _num_to_encode(admitted)
        return plan

    def _has_room_for(self, request: R) -> bool:
        num_live = sum(1 for r in self._running for _ in r.live)
        return num_live + sum(1 for _ in request.live) <= self._max_sequences or num_live == 0

    def _plan_first_step(self, request: R, budget: int) -> list[Planned[R]]:
        """As much of a waiting request as fits now; empty when not even its beginning does."""
        plan: list[Planned[R]] = []
        for sequence in request.live:
            self._blocks.reuse(sequence)
            num_tokens = min(sequence.num_pending, budget)
            if not num_tokens or not self._blocks.reserve(sequence, num_tokens):
                break
            plan.append(Planned(request, sequence, num_tokens))
            budget -= num_tokens
        if not plan:  # what waits holds nothing
            self._free_all(request)
        return plan

    def _free_all(self, request: R) -> None:
        for sequence in request.live:
            self._blocks.free(sequence)


def _num_to_encode(plan: Iterable[Planned[R]]) -> int:
    """The tokens of the sources that are encoded for this plan.

    A source is encoded whole, beyond the budget if it must be; then nothing more is admitted.
    """
    sources = {id(p.sequence.source): p.sequence.source for p in plan}
    return sum(len(s.token_ids) for s in sources.values() if s is not None and not s.is_encoded)
