"""Files of users: rows that say whose they are, over contents that may be shared.

Every question names the owner; somebody else's file does not exist.
"""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import RowMapping, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from penstock.errors import UnknownFile
from penstock.storage.contents import Content, Contents, Incoming
from penstock.storage.database import Storage
from penstock.storage.ids import may_be_id
from penstock.storage.paging import Page, page_of
from penstock.storage.tables import files


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file as its row tells."""

    id: str
    owner: str
    purpose: str
    filename: str
    num_bytes: int
    digest: str
    created_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """What a file is to be."""

    owner: str
    purpose: str
    filename: str
    lifetime_seconds: int | None = None


class FileStore:
    """The files in one database and one folder."""

    def __init__(self, storage: Storage, contents: Contents) -> None:
        self._storage = storage
        self._contents = contents
        self._linking = asyncio.Lock()

    def begin(self) -> Incoming:
        """A content, to be written before it is anybody's file. Must be kept or dropped."""
        return self._contents.begin()

    def path(self, file: StoredFile) -> Path:
        """Where its content is."""
        return self._contents.path(file.digest)

    @contextlib.asynccontextmanager
    async def linking(self) -> AsyncIterator[None]:
        """Within the block no content is removed, so one that was kept can be made a file.

        To be entered before a transaction, never inside one.
        """
        async with self._linking:
            yield

    async def keep(self, incoming: Incoming) -> Content:
        """Give the content its name. Within `linking`."""
        return await asyncio.to_thread(self._contents.keep, incoming)

    async def insert(
        self, connection: AsyncConnection, new: NewFile, content: Content
    ) -> StoredFile:
        """Make a content that was kept a file. Within `linking`."""
        now = await self._storage.now(connection)
        row = {
            "id": f"file-{uuid.uuid4().hex}",
            "owner": new.owner,
            "purpose": new.purpose,
            "filename": new.filename,
            "num_bytes": content.num_bytes,
            "digest": content.digest,
            "created_at": now,
            "expires_at": None if new.lifetime_seconds is None else now + new.lifetime_seconds,
        }
        added = await connection.execute(insert(files).values(row).returning(files))
        return _file(added.mappings().one())

    async def add(self, new: NewFile, incoming: Incoming) -> StoredFile:
        """A new file of what was written. Takes the content over."""
        try:
            async with self.linking():
                content = await self.keep(incoming)
                async with self._storage.writing() as connection:
                    return await self.insert(connection, new, content)
        finally:
            incoming.drop()

    async def get(self, owner: str, file_id: str) -> StoredFile:
        """The file. Raises `UnknownFile`."""
        async with self._storage.reading() as connection:
            return await self.find(connection, owner, file_id)

    async def find(self, connection: AsyncConnection, owner: str, file_id: str) -> StoredFile:
        """As `get`, in the caller's transaction."""
        now = await self._storage.now(connection)
        query = select(files).where(files.c.id == file_id, _usable(owner, now))
        is_id = may_be_id(file_id)
        row = (await connection.execute(query)).mappings().first() if is_id else None
        if row is None:
            raise UnknownFile(
                f"There is no file {file_id[:80]!r}.", "GET /v1/files lists those there are."
            )
        return _file(row)

    async def page(
        self, owner: str, page: Page, purpose: str | None = None
    ) -> tuple[Sequence[StoredFile], bool]:
        """A page of the owner's files, and whether there are more."""
        async with self._storage.reading() as connection:
            now = await self._storage.now(connection)
            query = select(files).where(_usable(owner, now))
            if purpose is not None:
                query = query.where(files.c.purpose == purpose)
            found = await page_of(connection, files, query, page)
        return [_file(row) for row in found.rows], found.has_more

    async def remove(self, connection: AsyncConnection, file: StoredFile) -> None:
        """Remove the row; its content goes with `tidy`."""
        await connection.execute(delete(files).where(files.c.id == file.id))

    async def expire_all(self, owner: str) -> None:
        """End the time of all files of an owner; they and their contents go with `tidy`."""
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            ending = update(files).where(files.c.owner == owner)
            await connection.execute(ending.values(expires_at=now))

    async def discard(self, digest: str) -> None:
        """Remove a content that is no file's any more."""
        async with self._linking, self._storage.reading() as connection:
            query = select(func.count()).where(files.c.digest == digest)
            if (await connection.execute(query)).scalar_one() == 0:
                await asyncio.to_thread(self._contents.remove, digest)

    async def tidy(self) -> None:
        """Remove files whose time is over, and what a killed server left behind."""
        async with self._storage.writing() as connection:
            now = await self._storage.now(connection)
            await connection.execute(delete(files).where(files.c.expires_at <= now))
        async with self._linking, self._storage.reading() as connection:
            needed = set((await connection.execute(select(files.c.digest))).scalars())
            await asyncio.to_thread(self._contents.sweep, needed)


def _usable(owner: str, now: float) -> ColumnElement[bool]:
    lives = or_(files.c.expires_at.is_(None), files.c.expires_at > now)
    return and_(files.c.owner == owner, lives)


def _file(row: RowMapping) -> StoredFile:
    return StoredFile(**row)
