"""Migrations: from nothing, from every earlier form and back, to what `tables.py` describes."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from penstock.errors import ConfigError
from penstock.storage.database import Storage
from penstock.storage.migrating import FOLDER, NEWEST, migrate, revision_of
from penstock.storage.tables import metadata

SCRIPTS = ScriptDirectory(str(FOLDER))
REVISIONS = [script.revision for script in SCRIPTS.walk_revisions()]


def differences(connection: Connection) -> list[object]:
    """But for the search, which each kind of database has in a form of its own."""
    options = {"compare_type": True, "include_name": is_of_ours}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


def is_of_ours(name: str | None, kind: str, _: object) -> bool:
    return not (kind == "table" and (name or "").startswith("history_search"))


def table_names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


def test_the_newest_revision_is_the_last_of_the_folder() -> None:
    assert SCRIPTS.get_current_head() == NEWEST


async def test_the_migrations_make_the_tables_that_are_described(storage: Storage) -> None:
    async with storage.writing() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.run_sync(revision_of) == NEWEST


@pytest.mark.parametrize("revision", [*REVISIONS[1:], "base"])
async def test_every_step_back_can_be_taken_and_undone(storage: Storage, revision: str) -> None:
    async with storage.writing() as connection:
        await connection.run_sync(migrate, revision)
        if revision == "base":
            assert await connection.run_sync(table_names) == set()
        await connection.run_sync(migrate)
        assert await connection.run_sync(differences) == []


async def test_a_migration_that_fails_leaves_the_tables_as_they_were(
    storage: Storage, database_url: str
) -> None:
    async with storage.writing() as connection:
        await connection.run_sync(migrate, "base")
        await connection.execute(text("CREATE TABLE jobs (x INTEGER)"))

    with pytest.raises(ConfigError, match=r"cannot be used: .*already exists"):
        await Storage(database_url).open()

    async with storage.writing() as connection:
        assert await connection.run_sync(revision_of) is None
        assert await connection.run_sync(table_names) == {"jobs"}


async def test_tables_of_a_newer_version_are_left_alone(database_url: str) -> None:
    storage = Storage(database_url)
    await storage.open()
    async with storage.writing() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await storage.close()

    with pytest.raises(ConfigError, match="newer Penstock"):
        await Storage(database_url).open()
