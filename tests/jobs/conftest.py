"""Each test runs on SQLite and on PostgreSQL, as those of the storage do."""

from tests.storage.conftest import database_url, storage

__all__ = ["database_url", "storage"]
