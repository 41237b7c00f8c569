"""The database: what is written stays or never was, on SQLite and on PostgreSQL."""

import asyncio
import random
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import ConfigError, StorageUnavailable
from penstock.storage import database
from penstock.storage.database import Storage
from penstock.storage.tables import jobs
from penstock.storage.urls import default_url
from tests.storage.databases import opened

WRITE_FOREVER = """
import asyncio, sys
from sqlalchemy import insert
from penstock.storage.database import Storage
from tests.storage.test_database import row
from penstock.storage.tables import jobs

async def main():
    storage = Storage(sys.argv[1])
    await storage.open()
    for number in range(10**6):
        async with storage.writing() as connection:
            await connection.execute(insert(jobs).values(row(f"a{number}")))
            await connection.execute(insert(jobs).values(row(f"b{number}")))
        print(number, flush=True)

asyncio.run(main())
"""


def row(job_id: str) -> dict[str, object]:
    return {
        "id": job_id,
        "owner": "o",
        "kind": "k",
        "state": "queued",
        "payload": {"text": "ü\x01😀"},
        "attempts": 0,
        "token": 0,
        "not_before": 0.0,
        "cancel_requested": False,
        "num_events": 0,
        "created_at": 1.5,
    }


async def ids(connection: AsyncConnection) -> list[str]:
    return list((await connection.execute(select(jobs.c.id).order_by(jobs.c.id))).scalars())


async def test_what_a_block_wrote_is_there_for_the_next_who_opens(database_url: str) -> None:
    async with opened(database_url) as storage, storage.writing() as connection:
        await connection.execute(insert(jobs).values(row("a")))

    async with opened(database_url) as storage, storage.reading() as connection:
        found = (await connection.execute(select(jobs))).mappings().one()
    assert dict(found) == row("a") | dict.fromkeys(
        ("result", "error", "idempotency_key", "executor", "lease_until", "finished_at")
    )


async def test_of_a_block_that_fails_nothing_is_there(storage: Storage) -> None:
    async def write_and_fail() -> None:
        async with storage.writing() as connection:
            await connection.execute(insert(jobs).values(row("a")))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await write_and_fail()

    async with storage.reading() as connection:
        assert await ids(connection) == []


async def test_writers_at_once_each_see_what_the_others_wrote(database_url: str) -> None:
    """Two processes' worth of writers add one each to a number they read."""
    async with opened(database_url) as one, opened(database_url) as other:
        async with one.writing() as connection:
            await connection.execute(insert(jobs).values(row("a")))

        async def add_one(storage: Storage) -> None:
            async with storage.writing() as connection:
                query = select(jobs.c.attempts).with_for_update()
                attempts = (await connection.execute(query)).scalar_one()
                await asyncio.sleep(0)
                await connection.execute(jobs.update().values(attempts=attempts + 1))

        await asyncio.gather(*(add_one(storage) for storage in [one, other] * 5))

        async with one.reading() as connection:
            assert (await connection.execute(select(jobs.c.attempts))).scalar_one() == 10


async def test_servers_that_start_at_once_make_the_tables_once(database_url: str) -> None:
    stores = [Storage(database_url) for _ in range(3)]
    try:
        await asyncio.gather(*(storage.open() for storage in stores))
        async with stores[2].reading() as connection:
            assert await ids(connection) == []
    finally:
        for storage in stores:
            await storage.close()


async def test_a_database_locked_by_another_is_told_as_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_SECONDS", 0.05)
    async with opened(default_url(tmp_path)) as storage:
        other = sqlite3.connect(tmp_path / "penstock.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageUnavailable):
            async with storage.writing():
                pass
        other.execute("ROLLBACK")
        other.close()
        async with storage.writing() as connection:
            await connection.execute(insert(jobs).values(row("a")))


async def test_connections_that_the_server_ended_are_replaced(storage: Storage) -> None:
    if storage.is_sqlite:
        pytest.skip("SQLite has no server.")
    async with storage.reading() as connection:
        own = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        async with storage.writing() as other:
            await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": own})
        with pytest.raises(StorageUnavailable):
            async with storage.reading() as other, connection.begin_nested():
                await ids(other)
    quick = await storage.first(select(func.pg_backend_pid().label("pid")))
    assert quick is not None
    async with storage.writing() as other:
        await other.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": quick["pid"]})
    assert await storage.first(select(jobs.c.id)) is None
    async with storage.reading() as connection:
        assert await ids(connection) == []


async def test_a_row_that_is_found_by_its_key_is_the_one_that_was_written_last(
    storage: Storage,
) -> None:
    query = select(jobs.c.state).where(jobs.c.id == "a")

    assert await storage.first(query) is None
    async with storage.writing() as connection:
        await connection.execute(insert(jobs).values(row("a")))
    for state in ("running", "succeeded"):
        async with storage.writing() as connection:
            await connection.execute(update(jobs).values(state=state))
        assert await storage.first(query) == {"state": state}


async def test_who_stops_waiting_for_a_row_leaves_the_next_their_own(storage: Storage) -> None:
    async with storage.writing() as connection:
        for number in range(20):
            await connection.execute(insert(jobs).values(row(f"{number}")))
    chance = random.Random(5)

    async def read(number: int) -> None:
        for _ in range(5):
            found = await storage.first(select(jobs.c.id).where(jobs.c.id == f"{number}"))
            assert found is not None and found["id"] == f"{number}"
            await asyncio.sleep(0)

    readers = [asyncio.create_task(read(number)) for number in range(20)]
    while not all(reader.done() for reader in readers):
        await asyncio.sleep(0.0005)
        chance.choice(readers).cancel()
    ends = await asyncio.gather(*readers, return_exceptions=True)

    assert {type(end) for end in ends} <= {type(None), asyncio.CancelledError}
    await asyncio.gather(*(read(number) for number in range(20)))


async def test_the_clock_goes_on_within_a_transaction(storage: Storage) -> None:
    async with storage.writing() as connection:
        first = await storage.now(connection)
        await asyncio.sleep(0.002)
        assert first < await storage.now(connection) < first + 100


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("mysql://a:secret@b/c", "no database of kind 'mysql'"),
        ("not a url secret", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        Storage(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "cannot be used: connection"),
        ("sqlite:///{file}/x.db", "cannot be used: "),
        ("sqlite:///{file}", "file is not a database"),
    ],
)
async def test_a_database_that_cannot_be_used_is_refused_without_its_password(
    url: str, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "x.db"
    file.write_text("This is a text and no database at all." * 100)

    with pytest.raises(ConfigError, match=message) as refused:
        await Storage(url.format(file=file)).open()
    assert "secret" not in str(refused.value)


async def test_only_its_owner_can_read_the_file(tmp_path: Path) -> None:
    async with opened(default_url(tmp_path)):
        assert (tmp_path / "penstock.db").stat().st_mode & 0o777 == 0o600


async def test_what_was_told_as_written_survives_a_kill_and_nothing_is_half(
    tmp_path: Path,
) -> None:
    url = default_url(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_FOREVER, url], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        told = [int(writer.stdout.readline()) for _ in range(5)]
        writer.kill()
        told += [int(line) for line in writer.stdout.read().split()]

    async with opened(url) as storage, storage.reading() as connection:
        found = await ids(connection)
        assert (await connection.execute(text("PRAGMA integrity_check"))).scalar_one() == "ok"
    firsts = {name[1:] for name in found if name[0] == "a"}
    assert firsts == {name[1:] for name in found if name[0] == "b"}
    assert firsts >= {str(number) for number in told}
