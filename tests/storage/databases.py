"""Fresh databases: a file of SQLite's, a schema of PostgreSQL's."""

import contextlib
import os
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg

from penstock.storage.database import Storage
from penstock.storage.urls import default_url
from tests.conftest import missing

SERVER = os.environ.get("PENSTOCK_TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
KINDS = ("sqlite", "postgresql")


@contextlib.contextmanager
def fresh_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of a database without tables, gone after the block."""
    if kind == "sqlite":
        yield default_url(folder)
        return
    schema = f"penstock_test_{uuid.uuid4().hex}"
    try:
        server = psycopg.connect(SERVER, autocommit=True, connect_timeout=5)
    except psycopg.OperationalError as error:
        missing("postgresql", f"PostgreSQL does not answer: {error}.")
        raise AssertionError from error
    with server:
        server.execute(f"CREATE SCHEMA {schema}".encode())
        yield f"{SERVER}?options=-csearch_path%3D{schema}"
        server.execute(f"DROP SCHEMA {schema} CASCADE".encode())


@contextlib.asynccontextmanager
async def opened(url: str) -> AsyncIterator[Storage]:
    """Storage on the database at `url`, closed after the block."""
    storage = Storage(url)
    await storage.open()
    try:
        yield storage
    finally:
        await storage.close()
