"""Contents as files, named by their SHA-256, in a folder of the data directory. Knows no rows.

Written aside, synced and renamed: what is there under its name is whole. All of it blocks.
"""

import errno
import hashlib
import os
import re
import time
import uuid
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import StorageUnavailable

DIGEST = re.compile(r"[0-9a-f]{64}")
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
ABANDONED_SECONDS = 24 * 3600  # after so long nobody is still writing it


@dataclass(frozen=True, slots=True)
class Content:
    """What was written."""

    digest: str
    num_bytes: int


class Incoming:
    """A content that is being written. Its owner must `keep` or `drop` it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("xb")
        self._hash = hashlib.sha256()
        self.num_bytes = 0

    def write(self, chunk: bytes) -> None:
        """Add to the end."""
        with _disk_troubles():
            self._file.write(chunk)
        self._hash.update(chunk)
        self.num_bytes += len(chunk)

    def finish(self) -> Content:
        """It is whole and on the disk."""
        with _disk_troubles(), self._file:
            self._file.flush()
            os.fsync(self._file.fileno())
        return Content(self._hash.hexdigest(), self.num_bytes)

    def drop(self) -> None:
        """Leave nothing behind. Harmless for one that was kept."""
        self._file.close()
        self.path.unlink(missing_ok=True)


class Contents:
    """The folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._aside = folder / "incoming"

    def begin(self) -> Incoming:
        """A new content, to be written."""
        with _disk_troubles():
            self._aside.mkdir(mode=0o700, parents=True, exist_ok=True)
            return Incoming(self._aside / uuid.uuid4().hex)

    def keep(self, incoming: Incoming) -> Content:
        """Give it its name. The same content twice is there once."""
        content = incoming.finish()
        path = self.path(content.digest)
        with _disk_troubles():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            incoming.path.replace(path)
            _sync_folder(path.parent)
        return content

    def path(self, digest: str) -> Path:
        """Where the content is."""
        assert DIGEST.fullmatch(digest)
        return self._folder / digest[:2] / digest

    def remove(self, digest: str) -> None:
        """The content is needed no more."""
        self.path(digest).unlink(missing_ok=True)

    def sweep(self, needed: Collection[str]) -> None:
        """Remove what a server that was killed left behind."""
        for path in self._folder.glob("*/*"):
            is_old = path.stat().st_mtime < time.time() - ABANDONED_SECONDS
            if is_old and path.name not in needed:
                path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk_troubles() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise StorageUnavailable(
            "The server's disk is full.", "Delete files that are needed no more, then try again."
        ) from error
