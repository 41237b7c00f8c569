"""Guessing passwords: how many guesses are looked at, and what their time tells."""

import asyncio
import math
import os
import statistics
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest
from sqlalchemy import delete, update

from penstock.accounts.accounts import Accounts
from penstock.accounts.passwords import Cost, Passwords
from penstock.accounts.signing_in import Visitor
from penstock.errors import ServerBusy, TooManyAttempts, WrongCredentials
from penstock.storage.tables import attempts, users
from tests.accounts.making import HERE, PASSWORD, accounts_over
from tests.figures import record

ROUNDS = int(os.environ.get("PENSTOCK_STRESS_ROUNDS", "2"))  # of 50 guesses; see `make stress`


IS_STRESS = "PENSTOCK_STRESS_ROUNDS" in os.environ
NUM_WARM = 3  # timings that are not looked at
NUM_TIMINGS = NUM_WARM + (200 if IS_STRESS else 20)


async def guess(accounts: Accounts, visitor: Visitor, name: str = "bob") -> str:
    try:
        await accounts.signing_in.check(name, "not the password at all", visitor)
    except (WrongCredentials, TooManyAttempts, ServerBusy) as error:
        return type(error).__name__
    raise AssertionError("a wrong password was taken for the right one")


async def let_pass(accounts: Accounts, seconds: float) -> None:
    """As if so much time had passed since the attempts there were."""
    async with accounts.stores.storage.writing() as connection:
        earlier = {name: attempts.c[name] - seconds for name in ("since", "blocked_until")}
        await connection.execute(update(attempts).values(earlier))


@pytest.mark.parametrize("name", ["bob", "nobody"])
async def test_of_guesses_at_once_from_everywhere_five_are_looked_at(
    accounts: Accounts, name: str
) -> None:
    found = []
    for number in range(ROUNDS):
        visitors = [Visitor(f"198.51.{number}.{n}") for n in range(50)]
        found += await asyncio.gather(*(guess(accounts, v, name) for v in visitors))

    looked_at = found.count("WrongCredentials") + found.count("ServerBusy")
    record("D5 guesses", f"50 at once, {name}", {"guesses": len(found), "looked at": looked_at})
    assert looked_at == 5
    assert found.count("TooManyAttempts") == len(found) - 5


async def test_in_a_quarter_of_an_hour_no_more_than_ten_are_looked_at(accounts: Accounts) -> None:
    looked_at = 0
    for minute in range(15):
        for second in range(4):
            source = f"198.51.100.{minute * 4 + second}"
            looked_at += await guess(accounts, Visitor(source)) == "WrongCredentials"
            await let_pass(accounts, 15)

    assert looked_at <= 10
    await let_pass(accounts, 15 * 60)
    user = await accounts.signing_in.check("bob", PASSWORD, HERE)  # not locked out for good
    assert user.username == "bob"


async def test_the_wait_is_told_and_doubles(accounts: Accounts) -> None:
    waits = []
    for number in range(8):
        await guess(accounts, Visitor(f"198.51.100.{number}"))
        try:
            await accounts.signing_in.check("bob", PASSWORD, HERE)
        except TooManyAttempts as error:
            waits.append(error.retry_after_seconds)
            await let_pass(accounts, error.retry_after_seconds)
        else:
            assert number < 4
            for _ in range(number + 1):  # it was forgiven: fail as often again
                await guess(accounts, Visitor(f"192.0.2.{number}"))

    assert [round(wait / 60) for wait in waits] == [1, 2, 4, 8, 15][: len(waits)]
    assert len(waits) >= 3


async def test_one_source_has_thirty_failures_a_minute_whatever_the_name(
    accounts: Accounts,
) -> None:
    found = [await guess(accounts, HERE, f"name{n}") for n in range(40)]

    assert found.count("WrongCredentials") == 30
    with pytest.raises(TooManyAttempts) as refused:
        await accounts.signing_in.check("bob", PASSWORD, HERE)
    assert 0 < refused.value.retry_after_seconds <= 60


async def test_who_signs_in_often_is_no_guesser(accounts: Accounts) -> None:
    for _ in range(40):
        await accounts.signing_in.check("bob", PASSWORD, HERE)


async def test_a_browser_that_was_here_before_is_not_kept_out_by_guesses_elsewhere(
    accounts: Accounts,
) -> None:
    device = accounts.devices.known(accounts.devices.name_for("Bob"), "bob")
    known = replace(HERE, device=device)
    for number in range(20):
        await guess(accounts, Visitor(f"198.51.100.{number}"))

    with pytest.raises(TooManyAttempts):
        await accounts.signing_in.check("bob", PASSWORD, HERE)
    assert (await accounts.signing_in.check("bob", PASSWORD, known)).username == "bob"
    guesses = [await guess(accounts, replace(known, source=f"192.0.2.{n}")) for n in range(8)]
    assert guesses.count("WrongCredentials") == 5  # such a browser may be stolen too


def test_a_devices_name_is_that_of_one_user_and_cannot_be_made_up() -> None:
    from penstock.accounts.devices import Devices

    devices = Devices("secret")
    name = devices.name_for("bob")

    assert devices.known(name, "BOB") is not None
    for other, user in ((name, "ada"), (name[:-1], "bob"), ("x.y", "bob"), ("", "bob"), (None, "")):
        assert devices.known(other, user) is None
    assert Devices("other").known(name, "bob") is None


async def test_the_time_tells_not_whether_there_is_such_a_user(accounts: Accounts) -> None:
    """From the name to the refusal, in turn. A few timings tell only that nothing is skipped."""
    storage = accounts.stores.storage
    costly = accounts_over(storage, passwords=Passwords(Cost(memory_kib=8 * 1024, num_passes=2)))
    hashed = await costly.passwords.hash(PASSWORD)
    async with storage.writing() as connection:
        await connection.execute(update(users).values(password_hash=hashed))
    seconds: dict[str, list[float]] = {"bob": [], "nobody": []}
    for _ in range(NUM_TIMINGS):
        for name, times in seconds.items():
            before = time.perf_counter()
            assert await guess(costly, HERE, name) == "WrongCredentials"
            times.append(time.perf_counter() - before)
            async with storage.writing() as connection:
                await connection.execute(delete(attempts))

    known, unknown = seconds["bob"][NUM_WARM:], seconds["nobody"][NUM_WARM:]
    medians = statistics.median(known), statistics.median(unknown)
    apart = abs(medians[0] - medians[1]) / max(medians)
    chance = chance_of_no_difference(known, unknown)
    figures = {
        "timings of each": len(known),
        "median of a known name in ms": round(1000 * medians[0], 2),
        "median of an unknown name in ms": round(1000 * medians[1], 2),
        "Mann-Whitney p": round(chance, 3),
    }
    record("D4 times of names", "SQLite" if storage.is_sqlite else "PostgreSQL", figures)
    assert apart < (0.05 if IS_STRESS else 0.5)
    assert not IS_STRESS or chance > 0.01


def chance_of_no_difference(one: Sequence[float], other: Sequence[float]) -> float:
    """The p of Mann and Whitney's test, two-sided, by the normal distribution. No two are equal."""
    ranks = {value: rank for rank, value in enumerate(sorted([*one, *other]), start=1)}
    n, m = len(one), len(other)
    larger = sum(ranks[value] for value in one) - n * (n + 1) / 2
    spread = math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(larger - n * m / 2) / spread / math.sqrt(2))


def test_the_chance_of_no_difference_is_that_of_mann_and_whitney() -> None:
    odd, even = [float(n) for n in range(1, 40, 2)], [float(n) for n in range(0, 40, 2)]

    assert chance_of_no_difference(odd, even) == pytest.approx(0.787, abs=0.001)
    assert chance_of_no_difference(odd, [value + 20.5 for value in even]) < 0.0001


async def test_a_known_and_an_unknown_name_leave_the_same_number_of_rows(
    accounts: Accounts,
) -> None:
    async def rows() -> int:
        events = await accounts.administration.events(1000)
        async with accounts.stores.storage.writing() as connection:
            removed = await connection.execute(delete(attempts))
        return len(events) + removed.rowcount

    start = await rows()
    await guess(accounts, HERE, "bob")
    after_known = await rows()
    await guess(accounts, HERE, "nobody")
    after_unknown = await rows()

    assert after_known - start == 3  # two counts and a note
    assert after_unknown - after_known == 1  # as many counts, and one more note
