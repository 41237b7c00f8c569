"""Nobody is starved by others who ask for more, and each is served in the order it asked."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.block_manager import BlockManager
from penstock.engine.fair_queue import FairQueue
from penstock.engine.scheduler import Scheduler
from tests.engine.test_scheduler import OneSequence, compute

COSTS = st.integers(1, 50)


@dataclass(eq=False)
class Waiter:
    tenant: str
    num_to_compute: int = 10


def _served(queue: FairQueue[Waiter], count: int) -> list[Waiter]:
    """The next so many, each computed at once and over."""
    served = []
    for _ in range(count):
        request = queue.first()
        queue.take(request)
        queue.charge(request.tenant, request.num_to_compute)
        queue.forget(request)
        served.append(request)
    return served


def test_two_who_ask_alike_take_turns() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for tenant in "aaabbb":
        queue.add(Waiter(tenant))

    assert [request.tenant for request in _served(queue, 6)] == list("ababab")


def test_who_asks_for_more_tokens_is_served_less_often() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for tenant, cost in [("a", 30)] * 4 + [("b", 10)] * 12:
        queue.add(Waiter(tenant, cost))

    assert "".join(request.tenant for request in _served(queue, 8)) == "abbbabbb"


def test_who_comes_late_waits_for_one_and_not_for_fifty() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for _ in range(50):
        queue.add(Waiter("busy"))
    _served(queue, 5)
    single = Waiter("other")
    queue.add(single)

    assert single in _served(queue, 2)


def test_staying_away_saves_nothing_up() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    queue.add(Waiter("idle"))
    _served(queue, 1)
    for _ in range(30):
        queue.add(Waiter("busy"))
    _served(queue, 10)
    for _ in range(10):
        queue.add(Waiter("idle"))

    served = [request.tenant for request in _served(queue, 10)]

    assert served.count("idle") == 5


def test_what_was_under_way_comes_before_all_others() -> None:
    queue: FairQueue[Waiter] = FairQueue()
    first, second, third = Waiter("a"), Waiter("a"), Waiter("b")
    for request in (first, second):
        queue.add(request)
        queue.take(request)
    queue.add(third)
    queue.put_back(second)
    queue.put_back(first)

    assert list(queue.in_order()) == [first, second, third]
    assert queue.first() is first


@given(st.lists(st.tuples(st.sampled_from("abcd"), COSTS), min_size=1, max_size=40), st.data())
def test_the_order_that_is_told_is_the_order_that_comes(
    requests: list[tuple[str, int]], data: st.DataObject
) -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for tenant, cost in requests:
        queue.add(Waiter(tenant, cost))
    _served(queue, data.draw(st.integers(0, len(requests) - 1)))
    told = list(queue.in_order())

    served = []
    while queue:
        request = queue.first()
        queue.take(request)
        queue.charge(request.tenant, request.num_to_compute)
        served.append(request)

    assert served == told


@given(st.lists(COSTS, min_size=20, max_size=20), st.lists(COSTS, min_size=20, max_size=20))
def test_those_who_always_wait_get_the_same_but_for_one_request(
    one: list[int], other: list[int]
) -> None:
    queue: FairQueue[Waiter] = FairQueue()
    for a, b in zip(one, other, strict=True):
        queue.add(Waiter("a", a))
        queue.add(Waiter("b", b))
    num_had = {"a": 0, "b": 0}

    for _ in range(20):
        (request,) = _served(queue, 1)
        num_had[request.tenant] += request.num_to_compute
        assert abs(num_had["a"] - num_had["b"]) <= 50


def test_a_scheduler_gives_the_next_free_place_to_who_has_had_least() -> None:
    blocks = BlockManager(num_blocks=64, block_size=4)
    scheduler: Scheduler[OneSequence] = Scheduler(blocks, max_batch_tokens=16, max_sequences=2)
    busy = [OneSequence(3, 4, tenant="busy") for _ in range(50)]
    for request in busy:
        scheduler.add(request)
    single = OneSequence(3, 4, tenant="other")
    num_finished = 0
    for step in range(100):
        if step == 3:
            scheduler.add(single)
        plan = scheduler.plan()
        for planned in plan:
            compute(planned)
        for request in {id(p.request): p.request for p in plan}.values():
            if request.sequence.num_generated >= request.completion:
                scheduler.remove(request)
                num_finished += 1
        if single.sequence.num_generated:
            break

    assert num_finished <= 3
    assert list(scheduler.waiting) == busy[num_finished + 1 :]
