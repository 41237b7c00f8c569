"""What befalls the database and the processes beside it: nothing that was told is lost or half."""

import asyncio
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select

from penstock.accounts.accounts import Accounts
from penstock.accounts.audit import Event
from penstock.accounts.signing_in import Visitor
from penstock.errors import StorageUnavailable
from penstock.storage.database import Storage
from penstock.storage.tables import api_keys, attempts, users
from tests.accounts.making import HERE, PASSWORD, accounts_over
from tests.conftest import REPOSITORY
from tests.storage.databases import SERVER, opened

ROUNDS = int(os.environ.get("PENSTOCK_STRESS_ROUNDS", "2"))
NUM_KILLS = 50 if "PENSTOCK_STRESS_ROUNDS" in os.environ else 2


def killed_after(url: str, prefix: str, seconds: float) -> list[tuple[str, str]]:
    """What a process told to have made before it was killed, so long after its first word."""
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.accounts.killed", url, prefix],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.kill()
    rest, _ = process.communicate()
    lines = [line for line in (first + rest).splitlines(keepends=True) if line.endswith("\n")]
    told = [line.split() for line in lines if len(line.split()) == 2]
    return [(user_id, secret) for user_id, secret in told if len(secret) == 55]


@pytest.mark.timeout(600)
async def test_of_a_process_that_is_killed_all_that_it_told_is_there_and_nothing_is_half(
    database_url: str,
) -> None:
    seconds = random.Random(7)
    told: list[tuple[str, str]] = []
    for number in range(NUM_KILLS):
        delay = seconds.uniform(0.0, 0.3)
        told += await asyncio.to_thread(killed_after, database_url, f"u{number}x", delay)

    async with opened(database_url) as storage:
        accounts = accounts_over(storage)
        assert len(told) >= NUM_KILLS
        for user_id, secret in told:
            assert (await accounts.authentication.by_bearer(secret)).owner == user_id
        made = Counter(e.event for e in await accounts.administration.events(1000))
        async with storage.reading() as connection:
            num_users = (await connection.execute(select(func.count(users.c.id)))).scalar_one()
            num_keys = (await connection.execute(select(func.count(api_keys.c.id)))).scalar_one()
    if num_users + num_keys < 1000:  # the log shows so many
        assert made[Event.USER_CREATED] == num_users
        assert made[Event.KEY_CREATED] == num_keys
    assert len(told) <= num_keys <= num_users <= len(told) + 2 * NUM_KILLS


async def test_while_another_writer_holds_the_database_signing_in_waits_or_says_so(
    tmp_path: Path,
) -> None:
    file = tmp_path / "penstock.db"
    async with opened(f"sqlite:///{file}") as storage:
        accounts = accounts_over(storage)
        user_id, secret = await with_key(accounts)
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):  # a 503 with Retry-After
            await accounts.signing_in.check("bob", PASSWORD, HERE)
        assert (await accounts.authentication.by_bearer(secret)).owner == user_id  # reads go on
        other.execute("ROLLBACK")
        other.close()

        async with storage.reading() as connection:
            assert (await connection.execute(select(func.count(attempts.c.name)))).scalar() == 0
        assert await accounts.signing_in.check("bob", PASSWORD, HERE)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_connections_that_are_cut_are_made_anew(storage: Storage) -> None:
    accounts = accounts_over(storage)
    user_id, secret = await with_key(accounts)
    for _ in range(3 if ROUNDS == 2 else ROUNDS):
        pids = []
        backend = select(func.pg_backend_pid().label("pid"))
        async with storage.reading() as connection:
            pids.append((await connection.execute(backend)).scalar_one())
        quick = await storage.first(backend)
        assert quick is not None
        pids.append(quick["pid"])
        with psycopg.connect(SERVER, autocommit=True) as server:
            for pid in pids:
                server.execute("SELECT pg_terminate_backend(%s)", (pid,))
        assert (await accounts.authentication.by_bearer(secret)).owner == user_id
        assert await accounts.signing_in.check("bob", PASSWORD, HERE)


async def test_who_leaves_while_a_password_is_looked_at_leaves_nothing_behind(
    accounts: Accounts,
) -> None:
    attempts_of = [
        asyncio.create_task(
            accounts.signing_in.check(
                f"nobody{n}", "x" * 20, Visitor(f"198.51.{n // 250}.{n % 250}")
            )
        )
        for n in range(50 * ROUNDS)
    ]
    chance = random.Random(11)
    for task in attempts_of:
        await asyncio.sleep(chance.uniform(0, 0.002))
        task.cancel()
    await asyncio.gather(*attempts_of, return_exceptions=True)

    assert await accounts.signing_in.check("bob", PASSWORD, HERE)
    while accounts.passwords._num_waiting:
        await asyncio.sleep(0.01)  # what a thread had begun comes to its end


async def with_key(accounts: Accounts) -> tuple[str, str]:
    from penstock.accounts.keys import NewKey
    from penstock.accounts.principal import Role, Scope
    from penstock.accounts.registration import Wanted

    user = await accounts.administration.user_named("bob") or await accounts.registration.create(
        Wanted(username="bob", password=PASSWORD), role=Role.USER, actor="test", visitor=HERE
    )
    new = NewKey(user_id=user.id, label="", scopes=frozenset({Scope.GENERATE}))
    _, secret = await accounts.administration.create_key(new, actor=user.id, visitor=HERE)
    return user.id, secret
