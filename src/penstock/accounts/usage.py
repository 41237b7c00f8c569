"""The rows of what was used, added up by owner, day, model and key."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, func, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.storage.database import Storage
from penstock.storage.tables import usage

PLACE = ("owner", "day", "model", "key_id")
SUMS = ("num_requests", "num_unfinished", "prompt_tokens", "completion_tokens")
GROUPS = ("day", "model", "key_id")
MAX_ROWS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRow:
    """What was used; what it is added up over is empty."""

    owner: str
    day: str = ""
    model: str = ""
    key_id: str = ""
    num_requests: int = 0
    num_unfinished: int = 0  # of these, cancelled or failed
    prompt_tokens: int = 0
    completion_tokens: int = 0


class UsageStore:
    """The usage in one database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def add(self, connection: AsyncConnection, rows: Iterable[UsageRow]) -> None:
        """Add to what is there, in the caller's transaction."""
        values = [
            {name: getattr(row, name) for name in (*PLACE, *SUMS)}
            for row in sorted(rows, key=lambda r: (r.owner, r.day, r.model, r.key_id))
        ]  # in one order, so that two servers do not wait for one another in a circle
        if values:
            await connection.execute(self._adding(), values)

    async def rows(
        self, owner: str, by: Sequence[str], *, first_day: str, last_day: str
    ) -> Sequence[UsageRow]:
        """What the owner used in these days, added up over all that is not in `by`."""
        columns = [usage.c[name] for name in by]
        sums = [func.sum(usage.c[name]).label(name) for name in SUMS]
        query = (
            select(*columns, *sums)
            .where(usage.c.owner == owner, usage.c.day.between(first_day, last_day))
            .group_by(*columns)
            .order_by(*columns)
            .limit(MAX_ROWS)
        )
        async with self._storage.reading() as connection:
            found = (await connection.execute(query)).mappings().all()
        rows = [_row(owner, by, row) for row in found]
        return [row for row in rows if row.num_requests]

    def _adding(self) -> Any:
        insert = insert_sqlite(usage) if self._storage.is_sqlite else insert_postgresql(usage)
        sums = {name: usage.c[name] + insert.excluded[name] for name in SUMS}
        return insert.on_conflict_do_update(index_elements=[*PLACE], set_=sums)


def _row(owner: str, by: Sequence[str], row: RowMapping) -> UsageRow:
    names: dict[str, Any] = {name: row[name] for name in by}
    sums: dict[str, Any] = {name: int(row[name] or 0) for name in SUMS}
    return UsageRow(owner=owner, **names, **sums)
