"""The database: transactions to read and to write in, and its clock. Knows no table.

SQLite has one writer at a time, so writers of this process queue for it here instead of waiting
for its lock; see decision 32. What each request asks first is read on a way of its own; see
decision 57.
"""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, event, func, literal_column, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.sql import ColumnElement

from penstock.errors import ConfigError, StorageUnavailable
from penstock.storage.migrating import migrate
from penstock.storage.quick_reads import QuickReads
from penstock.storage.urls import with_driver

logger = logging.getLogger(__name__)

WAIT_SECONDS = 5  # for a lock or a connection
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",  # what was answered for survives a power cut
    "PRAGMA foreign_keys=ON",
)


class Storage:
    """Connections to one database. `open` before use, on the event loop that uses it."""

    def __init__(self, url: str) -> None:
        self._url = with_driver(url)
        self._engine: AsyncEngine | None = None
        self._quick: QuickReads | None = None
        self._opening = asyncio.Lock()
        self._writing = asyncio.Lock()

    @property
    def is_sqlite(self) -> bool:
        """It is a file of this machine."""
        return self._url.get_backend_name() == "sqlite"

    async def open(self) -> None:
        """Connect and bring the tables up to date. Opening twice is harmless.

        Raises `ConfigError` where that cannot be done.
        """
        async with self._opening:
            if self._engine is not None:
                return
            engine = self._new_engine()
            try:
                async with engine.begin() as connection:
                    await connection.run_sync(migrate)
            except (DBAPIError, OSError) as error:
                await engine.dispose()
                raise _unusable(self._shown_url(), error) from error
            except BaseException:
                await engine.dispose()
                raise
            self._engine = engine
            self._quick = QuickReads(self._url)

    async def close(self) -> None:
        """Let go of all connections. Closing twice is harmless."""
        engine, self._engine = self._engine, None
        quick, self._quick = self._quick, None
        if quick is not None:
            await quick.close()
        if engine is not None:
            await engine.dispose()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads. Raises `StorageUnavailable`."""
        with _told():
            async with self._opened().connect() as connection:
                yield await connection.execution_options(penstock_reads=True)

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is kept if the block ends well. Raises `StorageUnavailable`."""
        with _told():
            async with self._turn(), self._opened().begin() as connection:
                yield connection

    async def first(self, query: Select[Any], **values: Any) -> RowMapping | None:
        """The first row that is found by a key, as it is now. Raises `StorageUnavailable`.

        Quicker than `reading`, and for one query alone. `values` are those of its parameters.
        """
        assert self._quick is not None, "storage is used before it is opened"
        with _told():
            try:
                row = await self._quick.first(query, values)
            except DBAPIError as error:
                if not _is_trouble(error):
                    raise
                async with self.reading() as connection:  # a connection that is known to be good
                    row = (await connection.execute(query, values)).first()
        return None if row is None else row._mapping

    async def now(self, connection: AsyncConnection) -> float:
        """Seconds since 1970 by the clock that all who share the database go by."""
        if self.is_sqlite:
            return time.time()
        return float((await connection.execute(select(self.clock()))).scalar_one())

    def clock(self) -> ColumnElement[Any]:
        """The same as a part of a query."""
        if self.is_sqlite:
            return literal_column("(julianday('now') - 2440587.5) * 86400.0")
        return func.extract("epoch", func.clock_timestamp())

    def _shown_url(self) -> str:
        """As an operator writes it, without its password; a file as its path."""
        if self.is_sqlite:
            return str(self._url.database)
        return self._url.set(drivername="postgresql").render_as_string(hide_password=True)

    def _opened(self) -> AsyncEngine:
        assert self._engine is not None, "storage is used before it is opened"
        return self._engine

    def _turn(self) -> contextlib.AbstractAsyncContextManager[None]:
        return self._writing if self.is_sqlite else contextlib.nullcontext()

    def _new_engine(self) -> AsyncEngine:
        if not self.is_sqlite:
            options: dict[str, Any] = {"connect_args": {"connect_timeout": WAIT_SECONDS}}
            return create_async_engine(
                self._url, pool_pre_ping=True, pool_timeout=WAIT_SECONDS, **options
            )
        _make_private_file(Path(str(self._url.database)))
        engine = create_async_engine(
            self._url, pool_timeout=WAIT_SECONDS, connect_args={"timeout": WAIT_SECONDS}
        )
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine


def _make_private_file(path: Path) -> None:
    """An empty database that only its owner can read, in a folder that is there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise _unusable(str(path), error) from error


def _prepare_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, schema changes included
    cursor = connection.cursor()
    for pragma in SQLITE_PRAGMAS:
        cursor.execute(pragma)
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """A writer takes the lock at once: one that reads first may find that it cannot write."""
    reads = connection.get_execution_options().get("penstock_reads", False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Have the database's own troubles told as ours."""
    try:
        yield
    except (DBAPIError, PoolTimeout) as error:
        if isinstance(error, DBAPIError) and not _is_trouble(error):
            raise
        logger.warning("The database does not serve: %s", getattr(error, "orig", error))
        raise StorageUnavailable(
            "The server's database does not serve now.", "Send the request again in a moment."
        ) from error


def _is_trouble(error: DBAPIError) -> bool:
    """It is about the connection, a lock or the disk, not about what was asked."""
    kinds = {kind.__name__ for kind in type(error.orig).__mro__}
    return error.connection_invalidated or bool(kinds & {"OperationalError", "InterfaceError"})


def _unusable(place: str, error: Exception) -> ConfigError:
    reason = (
        str(getattr(error, "strerror", None) or getattr(error, "orig", error))
        .strip()
        .partition("\n")[0]
    )
    return ConfigError(
        f"The database {place} cannot be used: {reason}.",
        "Mend it, or name another with PENSTOCK_DATABASE_URL or PENSTOCK_DATA_DIR.",
        param="database_url",
    )
