"""Brings a database's tables up to date, within the caller's transaction: all of it or nothing.

Alembic is imported only where there is something to do.
"""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from penstock.errors import ConfigError

FOLDER = Path(__file__).parent / "migrations"
NEWEST = "0005"  # the revision that `tables.py` describes
NOTHING = "base"  # Alembic's word for no tables at all
LOCK = 0x70656E73  # any number that no other program takes a lock of


def migrate(connection: Connection, revision: str = NEWEST) -> None:
    """Bring the tables to this revision. Raises `ConfigError` for those of a newer Penstock."""
    if connection.dialect.name == "postgresql":  # one server at a time
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    current = revision_of(connection)
    if current == revision:
        return
    if current is not None and current > NEWEST:
        raise ConfigError(
            f"The database was written by a newer Penstock (revision {current}; this one knows "
            f"{NEWEST}).",
            "Install that version again, or name another database with PENSTOCK_DATABASE_URL.",
            param="database_url",
        )
    _run_alembic(connection, current, revision)


def revision_of(connection: Connection) -> str | None:
    """The revision that the tables are at; none where there are no tables."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _run_alembic(connection: Connection, current: str | None, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    if revision == NOTHING or (current is not None and revision < current):
        command.downgrade(config, revision)
    else:
        command.upgrade(config, revision)
