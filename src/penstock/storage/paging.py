"""Lists in pages, by time of creation and, of what came at once, by id."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import RowMapping, Select, Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.storage.ids import may_be_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Which part of a list: so many after the one with this id."""

    limit: int
    after: str | None = None
    order: Literal["asc", "desc"] = "desc"


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, and whether others come after it."""

    rows: Sequence[RowMapping]
    has_more: bool


async def page_of(
    connection: AsyncConnection, table: Table, query: Select[Any], page: Page
) -> Found:
    """The page of what `query` selects. After an id that is not in the table comes nothing."""
    place = tuple_(table.c.created_at, table.c.id)
    ascends = page.order == "asc"
    if page.after is not None:
        if not may_be_id(page.after):
            return Found([], has_more=False)
        last = select(table.c.created_at, table.c.id).where(table.c.id == page.after)
        found = (await connection.execute(last)).first()
        if found is None:
            return Found([], has_more=False)
        query = query.where(place > tuple(found) if ascends else place < tuple(found))
    columns = (table.c.created_at, table.c.id)
    query = query.order_by(*(c.asc() if ascends else c.desc() for c in columns))
    rows = (await connection.execute(query.limit(page.limit + 1))).mappings().all()
    return Found(rows[: page.limit], has_more=len(rows) > page.limit)
