"""Reads one row at a time with as little ado as there can be: no transaction, and no thread.

A row of SQLite's is read where it is asked for: that takes a tenth of the way to another thread and
back, and a reader waits for no writer. Of PostgreSQL it is one round trip instead of five.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import URL, Engine, Row, Select, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

WAIT_SECONDS = 5  # for a connection
NUM_CONNECTIONS = 4  # each is needed for a millisecond at a time


class QuickReads:
    """Connections to read single rows with. Lives on the event loop.

    Nothing is looked at beforehand: a connection that was cut raises SQLAlchemy's error, and so
    does a file that cannot be read at once.
    """

    def __init__(self, url: URL) -> None:
        self._file: Engine | None = None
        self._server: AsyncEngine | None = None
        options: dict[str, Any] = {"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None}
        if url.get_backend_name() == "sqlite":
            plain = url.set(drivername="sqlite")
            self._file = create_engine(plain, connect_args={"timeout": 0}, **options)
        else:
            timeouts = {"connect_args": {"connect_timeout": WAIT_SECONDS}}
            self._server = create_async_engine(
                url,
                pool_size=NUM_CONNECTIONS,
                max_overflow=0,
                pool_timeout=WAIT_SECONDS,
                **timeouts,
                **options,
            )

    async def first(self, query: Select[Any], values: Mapping[str, Any]) -> Row[Any] | None:
        """The first row there is with these values in the query's places."""
        if self._file is not None:
            with self._file.connect() as connection:
                row: Row[Any] | None = connection.execute(query, values).first()
                return row
        assert self._server is not None
        async with self._server.connect() as waiting:
            answered: Row[Any] | None = (await waiting.execute(query, values)).first()
            return answered

    async def close(self) -> None:
        """Let go of the connections."""
        if self._file is not None:
            self._file.dispose()
        if self._server is not None:
            await self._server.dispose()
