"""Admission: never more under way than allowed, and every place comes back."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import InvalidParameter, ServerBusy, ShuttingDown
from penstock.serving.admission import Admission, Ticket
from penstock.serving.callers import CALLER, Caller


@given(st.lists(st.one_of(st.integers(1, 5), st.none()), max_size=60))
def test_the_limit_holds_and_all_places_come_back(visits: list[int | None]) -> None:
    """A number enters; `None` lets the oldest leave, twice."""
    admission = Admission(max_in_flight=8)
    inside: list[tuple[Ticket, int]] = []
    for places in visits:
        if places is None:
            for ticket, _ in inside[:1]:
                ticket.release()
                ticket.release()
            inside = inside[1:]
            continue
        free = 8 - admission.num_in_flight
        if places <= free:
            inside.append((admission.enter(places), places))
        else:
            with pytest.raises(ServerBusy):
                admission.enter(places)
        assert admission.num_in_flight == sum(places for _, places in inside) <= 8

    for ticket, _ in inside:
        ticket.release()

    assert admission.num_in_flight == 0


def test_what_could_never_fit_is_the_requests_fault() -> None:
    with pytest.raises(InvalidParameter, match="Ask for 4 or fewer"):
        Admission(max_in_flight=4).enter(5)


def test_draining_refuses_and_lets_what_is_inside_finish() -> None:
    admission = Admission(max_in_flight=4)
    ticket = admission.enter(1)

    admission.drain()

    with pytest.raises(ShuttingDown):
        admission.enter(1)
    assert admission.num_in_flight == 1
    ticket.release()
    assert admission.num_in_flight == 0


@pytest.fixture
def arrive() -> Iterator[Callable[[int], Caller]]:
    """Have a request of so many tokens be the one that is served."""
    tokens = []

    def arrive(num_tokens: int) -> Caller:
        caller = Caller("somebody", num_bytes=4 * num_tokens)
        tokens.append(CALLER.set(caller))
        return caller

    yield arrive
    for token in reversed(tokens):
        CALLER.reset(token)


def test_tokens_that_wait_are_bounded(arrive: Callable[[int], Caller]) -> None:
    admission = Admission(max_in_flight=9, max_waiting_tokens=100)
    arrive(60)
    first = admission.enter(1)
    arrive(40)
    admission.enter(1)
    assert admission.num_waiting_tokens == 100
    late = arrive(1)

    with pytest.raises(ServerBusy, match="About 100 tokens of other requests wait"):
        admission.enter(1)
    assert (admission.num_waiting_tokens, admission.num_in_flight) == (100, 2)

    first.begin()
    admission.enter(1)
    late.begin()
    assert admission.num_waiting_tokens == 40


def test_who_finds_nobody_waiting_may_be_of_any_size(arrive: Callable[[int], Caller]) -> None:
    admission = Admission(max_in_flight=9, max_waiting_tokens=100)
    arrive(500)

    admission.enter(1)

    assert admission.num_waiting_tokens == 500


def test_a_ticket_gives_its_tokens_back_once(arrive: Callable[[int], Caller]) -> None:
    admission = Admission(max_in_flight=9)
    arrive(7)
    ticket = admission.enter(1)

    ticket.begin()
    ticket.begin()
    ticket.release()
    ticket.release()

    assert (admission.num_waiting_tokens, admission.num_in_flight) == (0, 0)
