"""Files: whose they are, how long they live, and their contents as long as they are needed."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection

from penstock.errors import StorageUnavailable, UnknownFile
from penstock.storage import contents as contents_module
from penstock.storage.contents import ABANDONED_SECONDS, Contents
from penstock.storage.database import Storage
from penstock.storage.files import FileStore, NewFile, StoredFile
from penstock.storage.paging import Page


@pytest.fixture
def files(storage: Storage, tmp_path: Path) -> FileStore:
    return FileStore(storage, Contents(tmp_path / "files"))


async def added(
    files: FileStore, text: bytes, owner: str = "a", lifetime_seconds: int | None = None
) -> StoredFile:
    incoming = files.begin()
    incoming.write(text)
    new = NewFile(owner=owner, purpose="batch", filename="x", lifetime_seconds=lifetime_seconds)
    return await files.add(new, incoming)


def on_disk(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "files").rglob("*") if p.is_file())


async def removed(storage: Storage, files: FileStore, file: StoredFile) -> None:
    async with storage.writing() as connection:
        await files.remove(connection, file)
    await files.discard(file.digest)


async def test_somebody_elses_file_does_not_exist(files: FileStore) -> None:
    mine = await added(files, b"x", owner="a")

    assert await files.get("a", mine.id) == mine
    with pytest.raises(UnknownFile):
        await files.get("b", mine.id)
    assert await files.page("b", Page(limit=10)) == ([], False)


async def test_a_content_is_kept_while_any_file_has_it(
    storage: Storage, files: FileStore, tmp_path: Path
) -> None:
    first, second = await added(files, b"same"), await added(files, b"same", owner="b")

    await removed(storage, files, first)
    assert files.path(second).read_bytes() == b"same"
    await removed(storage, files, second)
    assert on_disk(tmp_path) == []


async def test_uploads_and_deletions_of_one_content_at_once_lose_none(
    storage: Storage, files: FileStore
) -> None:
    async def come_and_go() -> None:
        await removed(storage, files, await added(files, b"same"))

    kept, *_ = await asyncio.gather(added(files, b"same"), *(come_and_go() for _ in range(5)))

    assert files.path(kept).read_bytes() == b"same"


async def test_an_expired_file_is_gone_and_then_its_content_too(
    storage: Storage, files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await added(files, b"short-lived", lifetime_seconds=3600)
    stays = await added(files, b"stays")

    async def later(_: AsyncConnection) -> float:
        return time.time() + 3601

    monkeypatch.setattr(storage, "now", later)
    for found in (file, stays):
        old = time.time() - ABANDONED_SECONDS - 1
        os.utime(files.path(found), (old, old))

    with pytest.raises(UnknownFile):
        await files.get("a", file.id)
    await files.tidy()

    assert on_disk(tmp_path) == [stays.digest]


async def test_what_is_being_written_now_is_not_swept_away(
    files: FileStore, tmp_path: Path
) -> None:
    incoming = files.begin()
    abandoned = files.begin()
    old = time.time() - ABANDONED_SECONDS - 1
    os.utime(abandoned.path, (old, old))

    await files.tidy()

    assert on_disk(tmp_path) == [incoming.path.name]
    incoming.drop()
    abandoned.drop()


async def test_a_full_disk_is_told_and_leaves_nothing(
    files: FileStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(contents_module.os, "fsync", full)
    with pytest.raises(StorageUnavailable, match="disk is full"):
        await added(files, b"x")

    assert on_disk(tmp_path) == []
    assert await files.page("a", Page(limit=10)) == ([], False)
