"""Accounts over SQLite and over PostgreSQL, with hashes that cost little."""

import pytest

from penstock.accounts.accounts import Accounts
from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.storage.database import Storage
from tests.accounts.making import HERE, PASSWORD, accounts_over
from tests.storage.conftest import database_url, storage

__all__ = ["database_url", "storage"]


@pytest.fixture
async def accounts(storage: Storage) -> Accounts:
    """Accounts of which bob's is one."""
    accounts = accounts_over(storage)
    await accounts.registration.create(
        Wanted(username="bob", password=PASSWORD), role=Role.USER, actor="test", visitor=HERE
    )
    return accounts
