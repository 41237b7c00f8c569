"""Makes accounts and keys one after the other and says which are made, until it is killed."""

import asyncio
import itertools
import sys

from penstock.accounts.keys import NewKey
from penstock.accounts.principal import Role, Scope
from penstock.accounts.registration import Wanted
from penstock.storage.database import Storage
from tests.accounts.making import HERE, PASSWORD, accounts_over


async def main(url: str, prefix: str) -> None:
    storage = Storage(url)
    await storage.open()
    accounts = accounts_over(storage)
    for number in itertools.count():
        wanted = Wanted(username=f"{prefix}{number}", password=PASSWORD)
        user = await accounts.registration.create(
            wanted, role=Role.USER, actor="test", visitor=HERE
        )
        new = NewKey(user_id=user.id, label="", scopes=frozenset({Scope.GENERATE}))
        _, secret = await accounts.administration.create_key(new, actor=user.id, visitor=HERE)
        sys.stdout.write(f"{user.id} {secret}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
