"""Scheduler and block manager, prefix cache included, under any order of what can happen to them.

The machine plays the engine: it adds, steps, cancels, forks, guesses, drops and finishes. A model
of the cache says what every block holds, so a block that is shared wrongly, written by two or given
away too early is read with the wrong content. CI runs it at a moderate size; for longer:

    PENSTOCK_MACHINE_STEPS=20000 python -m pytest tests/engine/test_scheduling_machine.py
"""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import cycle

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from penstock.engine.block_manager import BlockManager
from penstock.engine.prefixes import PrefixCache
from penstock.engine.scheduler import Planned, Scheduler
from penstock.engine.sequence import Sequence

NUM_BLOCKS = 18  # for two sequences of the longest
BLOCK_SIZE = 4
BUDGET = 12
MAX_SEQUENCES = 4
MAX_LIVE = 2  # sequences of one request
PATIENCE = 400  # steps until everybody who is there must have been taken up
TENANTS = ["one", "other"]
NUM_STEPS = int(os.environ.get("PENSTOCK_MACHINE_STEPS", "0"))
EXAMPLE_STEPS = 50


@dataclass(eq=False)
class Request:
    """A request with forks, and what it is owed."""

    number: int
    tenant: str
    target: int  # tokens that each sequence grows to
    live: list[Sequence]
    place: int | None = None  # among all who were ever taken up
    next_id: int = 1

    @property
    def num_to_compute(self) -> int:
        return sum(sequence.num_pending for sequence in self.live)


@dataclass
class Cache:
    """What every slot of every block holds: the tokens up to and with its own."""

    slots: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)

    def copy(self, source: int, destination: int) -> None:
        for offset in range(BLOCK_SIZE):
            if (source, offset) in self.slots:
                self.slots[destination, offset] = self.slots[source, offset]

    def write(self, planned: Planned[Request]) -> None:
        """Compute what is planned, reading all that comes before it."""
        sequence, start = planned.sequence, planned.sequence.num_computed
        self.check(sequence, start)
        for position in range(start, start + planned.num_tokens):
            block = sequence.block_table[position // BLOCK_SIZE]
            text = (hash(sequence.salt), *sequence.token_ids[: position + 1])
            self.slots[block, position % BLOCK_SIZE] = text

    def check(self, sequence: Sequence, num_tokens: int) -> None:
        """Everything that was computed is where the sequence looks for it, its tenant's own."""
        for position in range(num_tokens):
            block = sequence.block_table[position // BLOCK_SIZE]
            text = (hash(sequence.salt), *sequence.token_ids[: position + 1])
            assert self.slots[block, position % BLOCK_SIZE] == text


class SchedulingMachine(RuleBasedStateMachine):
    """The engine's part: everything that it does to a scheduler and a block manager."""

    def __init__(self) -> None:
        super().__init__()
        self.cache = Cache()
        self.requests: list[Request] = []
        self.num_added = 0
        self.started: dict[str, list[int]] = defaultdict(list)

    @initialize(keeps_prefixes=st.booleans(), max_idle=st.integers(0, NUM_BLOCKS))
    def make(self, keeps_prefixes: bool, max_idle: int) -> None:
        self.prefixes = PrefixCache(max_idle=max_idle) if keeps_prefixes else None
        self.blocks = BlockManager(
            num_blocks=NUM_BLOCKS, block_size=BLOCK_SIZE, prefixes=self.prefixes
        )
        self.scheduler: Scheduler[Request] = Scheduler(
            self.blocks, max_batch_tokens=BUDGET, max_sequences=MAX_SEQUENCES
        )

    @precondition(lambda self: len(self.requests) < 12)
    @rule(
        tenant=st.sampled_from(TENANTS),
        beginning=st.integers(0, 1),  # few texts, so that many begin alike
        num_prompt=st.integers(1, 24),
        num_new=st.integers(1, 12),
        must_be_read=st.sampled_from([False, False, False, True]),
    )
    def add(
        self, tenant: str, beginning: int, num_prompt: int, num_new: int, must_be_read: bool
    ) -> None:
        sequence = Sequence(0, [beginning] * num_prompt, num_prompt=num_prompt, salt=tenant)
        sequence.keeps_hidden = must_be_read
        request = Request(self.num_added, tenant, num_prompt + num_new, [sequence])
        self.num_added += 1
        self.requests.append(request)
        self.scheduler.add(request)

    @precondition(lambda self: len(self.requests) > 3)
    @rule(choice=st.integers(0, 1000))
    def cancel(self, choice: int) -> None:
        self._end(self.requests[choice % len(self.requests)])

    @precondition(lambda self: self.requests)
    @rule(choices=st.lists(st.integers(0, 9), min_size=MAX_SEQUENCES, max_size=40))
    def step(self, choices: list[int]) -> None:
        """As many steps as there are choices for."""
        for start in range(0, len(choices), MAX_SEQUENCES):
            if self.requests:
                self._step(choices[start : start + MAX_SEQUENCES])

    def teardown(self) -> None:
        """Nobody waits for ever, whatever came before, and every block comes back."""
        for _ in range(PATIENCE):
            if self.requests:
                self._step([0] * MAX_SEQUENCES)
        assert not self.requests, "somebody was starved"
        assert self.blocks.num_free == NUM_BLOCKS

    def _step(self, choices: list[int]) -> None:
        plan = self.scheduler.plan()
        self._check_plan(plan)
        for source, destination in self.blocks.take_copies():
            self.cache.copy(source, destination)
        completing = [p for p in plan if p.completes]
        for planned in plan:
            self.cache.write(planned)
            planned.sequence.num_computed += planned.num_tokens
        for request in {id(p.request): p.request for p in completing}.values():
            if all(not sequence.num_pending for sequence in request.live):
                self._decide(request, choices)
        self.every_block_is_accounted_for()
        self.whatever_is_computed_can_be_read()

    @invariant()
    def every_block_is_accounted_for(self) -> None:
        used = {block for r in self.requests for s in r.live for block in s.block_table}
        assert self.blocks.num_free == NUM_BLOCKS - len(used)

    @invariant()
    def whatever_is_computed_can_be_read(self) -> None:
        for request in self.requests:
            for sequence in request.live:
                self.cache.check(sequence, sequence.num_computed)

    @invariant()
    def what_is_published_is_what_the_block_holds(self) -> None:
        known = {} if self.prefixes is None else self.prefixes._contents
        for block, content in known.items():
            text = self.cache.slots[block, BLOCK_SIZE - 1]
            assert text[-BLOCK_SIZE:] == content.token_ids

    @invariant()
    def who_waits_holds_nothing_and_is_next_if_it_was_under_way(self) -> None:
        waiting = list(self.scheduler.waiting)
        assert len(waiting) == self.scheduler.num_waiting
        assert not any(s.block_table for request in waiting for s in request.live)
        places = [request.place for request in waiting]
        known = [place for place in places if place is not None]
        assert known == sorted(known) and places[: len(known)] == known

    def _check_plan(self, plan: list[Planned[Request]]) -> None:
        assert plan, "there is work, so something must be planned"
        assert sum(p.num_tokens for p in plan) <= BUDGET
        assert len({id(p.sequence) for p in plan}) == len(plan)
        assert all(0 < p.num_tokens <= p.sequence.num_pending for p in plan)
        written = [block for p in plan for block in self._written(p)]
        assert len(written) == len(set(written)), "two write to one block"
        for request in {id(p.request): p.request for p in plan}.values():
            if request.place is None:
                request.place = sum(map(len, self.started.values()))
                self.started[request.tenant].append(request.number)
        for tenant, numbers in self.started.items():
            assert numbers == sorted(numbers), f"{tenant} was not served in order"

    def _written(self, planned: Planned[Request]) -> set[int]:
        start = planned.sequence.num_computed
        positions = range(start, start + planned.num_tokens)
        return {planned.sequence.block_table[p // BLOCK_SIZE] for p in positions}

    def _decide(self, request: Request, choices: list[int]) -> None:
        """As strategies do: publish, then check guesses, fork, drop, append, guess, finish."""
        for sequence in request.live:
            self.blocks.publish(sequence)
        for sequence, choice in zip(list(request.live), cycle(choices), strict=False):
            num_right = min(choice % 3, sequence.num_guesses)
            guesses = sequence.guesses[:num_right]
            sequence.give_up_guesses()
            self.blocks.truncate(sequence, len(sequence.token_ids) + num_right)
            sequence.token_ids += guesses
            if choice == 7 and len(request.live) < MAX_LIVE and not num_right:
                self._fork(request, sequence)
            elif choice == 8 and len(request.live) > 1:
                self.blocks.free(sequence)
                request.live.remove(sequence)
                continue
            sequence.token_ids.append(choice % 2)
            room = request.target - len(sequence.token_ids)
            if choice in (5, 6) and room > 2:
                sequence.guess([1, 0])
        if any(sequence.num_certain >= request.target for sequence in request.live):
            self._end(request)

    def _fork(self, request: Request, parent: Sequence) -> None:
        token_ids = [*parent.token_ids, 5]
        child = Sequence(request.next_id, token_ids, num_prompt=parent.num_prompt)
        child.keeps_hidden = parent.keeps_hidden
        request.next_id += 1
        self.blocks.fork(parent, child)
        request.live.append(child)

    def _end(self, request: Request) -> None:
        self.requests.remove(request)
        self.scheduler.remove(request)


def _run(num_steps: int) -> None:
    """So many steps in all, in examples of fifty."""
    run = settings(
        max_examples=max(1, num_steps // EXAMPLE_STEPS),
        stateful_step_count=EXAMPLE_STEPS,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(SchedulingMachine, settings=run)


def test_whatever_happens_blocks_and_order_are_kept_and_nobody_starves() -> None:
    _run(NUM_STEPS or 2_000)
