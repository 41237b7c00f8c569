"""The rows of what was generated, by owner: every question names the owner."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, TextClause, delete, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import InvalidParameter, UnknownGeneration
from penstock.storage.database import Storage
from penstock.storage.paging import Page, page_of
from penstock.storage.tables import history

SECONDS_PER_DAY = 86_400
EXPORT_ROWS = 200  # read at once
IN_SQLITE = text(
    "history.number IN (SELECT rowid FROM history_search WHERE history_search MATCH :words)"
)
IN_POSTGRESQL = text(
    "history.number IN (SELECT number FROM history_search"
    " WHERE words @@ plainto_tsquery('simple', :words))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A request and what was generated for it, as its row tells."""

    id: str
    owner: str
    key_id: str
    created_at: float
    model: str
    outcome: str
    prompt: str
    text: str
    texts: list[str] | None  # each, where several were asked for
    parameters: dict[str, Any]
    receipt: str | None
    prompt_tokens: int
    completion_tokens: int
    seconds: float


class HistoryStore:
    """The history in one database, for so many days."""

    def __init__(self, storage: Storage, *, days_kept: float) -> None:
        self._storage = storage
        self._days_kept = days_kept

    async def insert(self, connection: AsyncConnection, rows: Sequence[Kept]) -> None:
        """Add rows in the caller's transaction; the database adds their words to the search."""
        if rows:
            values = [
                {name: getattr(row, name) for name in Kept.__dataclass_fields__} for row in rows
            ]
            await connection.execute(insert(history), values)

    async def page(
        self, owner: str, page: Page, *, words: str | None = None
    ) -> tuple[Sequence[Kept], bool]:
        """A page of the owner's history, of what has all these words, and whether more comes."""
        query = select(history).where(history.c.owner == owner)
        if words is not None:
            query = query.where(self._matching(words))
        async with self._storage.reading() as connection:
            found = await page_of(connection, history, query, page)
        return [_kept(row) for row in found.rows], found.has_more

    async def get(self, owner: str, kept_id: str) -> Kept:
        """One of the owner's. Raises `UnknownGeneration`."""
        query = select(history).where(history.c.id == kept_id, history.c.owner == owner)
        async with self._storage.reading() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise _unknown(kept_id)
        return _kept(row)

    async def all(self, owner: str) -> AsyncIterator[Kept]:
        """All of the owner's, the oldest first, as they are read. Not one long transaction."""
        last = 0
        while True:
            query = (
                select(history)
                .where(history.c.owner == owner, history.c.number > last)
                .order_by(history.c.number)
                .limit(EXPORT_ROWS)
            )
            async with self._storage.reading() as connection:
                rows = (await connection.execute(query)).mappings().all()
            for row in rows:
                yield _kept(row)
            if len(rows) < EXPORT_ROWS:
                return
            last = rows[-1]["number"]

    async def delete(self, owner: str, kept_id: str) -> None:
        """Delete one. Raises `UnknownGeneration`."""
        query = delete(history).where(history.c.id == kept_id, history.c.owner == owner)
        async with self._storage.writing() as connection:
            if (await connection.execute(query)).rowcount == 0:
                raise _unknown(kept_id)

    async def delete_all(self, owner: str) -> int:
        """Delete all of the owner's; how many there were."""
        async with self._storage.writing() as connection:
            deleted = await connection.execute(delete(history).where(history.c.owner == owner))
        return int(deleted.rowcount)

    async def tidy(self) -> None:
        """Delete what was kept for long enough."""
        async with self._storage.writing() as connection:
            before = await self._storage.now(connection) - self._days_kept * SECONDS_PER_DAY
            await connection.execute(delete(history).where(history.c.created_at < before))

    def _matching(self, words: str) -> TextClause:
        found = words.split()
        if not found:
            raise InvalidParameter("q is empty.", "Give a word to look for.", param="q")
        if not self._storage.is_sqlite:
            return IN_POSTGRESQL.bindparams(words=words)
        # As strings, so that nothing in them is an operator of FTS5.
        quoted = " ".join('"' + word.replace('"', '""') + '"' for word in found)
        return IN_SQLITE.bindparams(words=quoted)


def _unknown(kept_id: str) -> UnknownGeneration:
    return UnknownGeneration(
        f"There is nothing {kept_id[:80]!r} in your history.", "GET /history lists what there is."
    )


def _kept(row: RowMapping) -> Kept:
    return Kept(**{name: row[name] for name in Kept.__dataclass_fields__})
