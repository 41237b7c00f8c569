"""Any load is finished within its budgets, in order, and nothing is starved or lost."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.block_manager import BlockManager
from penstock.engine.scheduler import Planned, Scheduler
from penstock.engine.sequence import Sequence

NUM_BLOCKS = 16
BLOCK_SIZE = 4
BUDGET = 10
MAX_SEQUENCES = 4
LOADS = st.lists(
    st.tuples(st.integers(1, 30), st.integers(1, 20)), min_size=1, max_size=12
)  # prompt and completion lengths; the longest fits the blocks alone


@dataclass(eq=False)
class OneSequence:
    """A request with one sequence and a number of tokens to reach."""

    prompt: int
    completion: int
    tenant: str = ""
    sequence: Sequence = field(init=False)

    def __post_init__(self) -> None:
        self.sequence = Sequence(0, [7] * self.prompt, num_prompt=self.prompt)

    @property
    def live(self) -> list[Sequence]:
        return [self.sequence]

    @property
    def num_to_compute(self) -> int:
        return self.sequence.num_pending


def _scheduler(num_blocks: int = NUM_BLOCKS) -> tuple[Scheduler[OneSequence], BlockManager]:
    blocks = BlockManager(num_blocks=num_blocks, block_size=BLOCK_SIZE)
    scheduler: Scheduler[OneSequence] = Scheduler(
        blocks, max_batch_tokens=BUDGET, max_sequences=MAX_SEQUENCES
    )
    return scheduler, blocks


def compute(planned: Planned[OneSequence]) -> None:
    completes = planned.completes
    planned.sequence.num_computed += planned.num_tokens
    if completes:
        planned.sequence.token_ids.append(7)


@given(LOADS)
def test_any_load_finishes_within_its_budgets(load: list[tuple[int, int]]) -> None:
    scheduler, blocks = _scheduler()
    unfinished = [OneSequence(prompt, min(completion, 30)) for prompt, completion in load]
    for request in unfinished:
        scheduler.add(request)

    num_steps = 0
    while unfinished:
        plan = scheduler.plan()
        num_steps += 1

        assert plan, "there is work, so something must be planned"
        assert sum(p.num_tokens for p in plan) <= BUDGET
        assert all(p.num_tokens > 0 for p in plan)
        assert len({id(p.sequence) for p in plan}) == len(plan)
        assert scheduler.num_running <= MAX_SEQUENCES
        assert unfinished[0] in [p.request for p in plan], "the oldest request always moves"
        assert num_steps < 5000

        for planned in plan:
            compute(planned)
        for request in [p.request for p in plan]:
            if request.sequence.num_generated >= request.completion:
                scheduler.remove(request)
                unfinished.remove(request)

    assert blocks.num_free == NUM_BLOCKS
    assert not scheduler.has_work


def test_a_long_prompt_never_holds_up_those_who_write() -> None:
    scheduler, _ = _scheduler()
    writing, reading = OneSequence(2, 9), OneSequence(30, 5)
    scheduler.add(writing)
    compute(scheduler.plan()[0])
    scheduler.add(reading)

    sizes = []
    while not reading.sequence.num_generated:
        plan = scheduler.plan()
        sizes.append([(p.request, p.num_tokens) for p in plan])
        for planned in plan:
            compute(planned)

    assert sizes == [
        [(writing, 1), (reading, 9)],
        [(writing, 1), (reading, 9)],
        [(writing, 1), (reading, 9)],
        [(writing, 1), (reading, 3)],
    ]


def test_the_newest_request_makes_room_when_blocks_run_out() -> None:
    scheduler, blocks = _scheduler(num_blocks=6)
    old, new = OneSequence(8, 30), OneSequence(8, 30)
    scheduler.add(old)
    scheduler.add(new)
    plan = scheduler.plan()
    while not scheduler.num_waiting or not new.sequence.num_generated:
        for planned in plan:
            compute(planned)
        plan = scheduler.plan()

    assert [p.request for p in plan] == [old]
    assert (scheduler.num_running, scheduler.num_waiting) == (1, 1)
    assert new.sequence.num_computed == 0
    assert len(new.sequence.token_ids) > new.prompt, "what was written is kept"
    assert blocks.num_free == 6 - len(old.sequence.block_table)
