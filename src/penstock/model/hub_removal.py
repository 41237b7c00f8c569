"""Removes a model from the hub's cache, and nothing that another revision of it still needs.

Imports `huggingface_hub` for its lock, which takes its time.
"""

import shutil
from pathlib import Path

from penstock.errors import ModelBusy, ModelUnavailable
from penstock.model.catalog import CatalogEntry
from penstock.model.folder import is_complete
from penstock.model.hub_cache import CachedRepository
from penstock.model.hub_lock import Locked, locked

LOCK_SECONDS = 2.0


def remove_revision(entry: CatalogEntry, repository: CachedRepository) -> int:
    """Remove a revision's files, or all that is left of an unfinished download; bytes given back.

    Blobs that another snapshot links to stay. Links are removed, never followed.
    """
    _refuse_links(repository)
    try:
        with locked(repository, LOCK_SECONDS):
            before = _size(repository.root)
            _remove(repository, entry.revision)
            return before - _size(repository.root)
    except Locked:
        raise ModelBusy(
            f"{entry.id} is being fetched by another program.", "Stop that first.", param="model"
        ) from None
    except OSError as error:
        raise ModelUnavailable(
            f"{error.filename or repository.root} cannot be removed ({error.strerror}).",
            "Check who owns the hub's cache.",
            param="model",
        ) from error


def _remove(repository: CachedRepository, revision: str) -> None:
    snapshot = repository.snapshot_at(revision)
    for name, commit in repository.revisions().items():
        if snapshot is not None and commit == snapshot.name:
            (repository.root / "refs" / name).unlink()  # first: from now on it is not here
    for folder in repository.snapshots():
        if folder == snapshot or (snapshot is None and not is_complete(folder)):
            shutil.rmtree(folder)
    if repository.snapshots():
        _remove_blobs_nobody_needs(repository)
    else:
        shutil.rmtree(repository.root)


def _remove_blobs_nobody_needs(repository: CachedRepository) -> None:
    links = (path for path in (repository.root / "snapshots").rglob("*") if path.is_symlink())
    needed = {link.readlink().name for link in links}
    for blob in (repository.root / "blobs").iterdir():
        if blob.is_file() and blob.name not in needed:
            blob.unlink()


def _refuse_links(repository: CachedRepository) -> None:
    """A cache whose folders lead elsewhere was arranged by somebody, who knows what is there."""
    for folder in (repository.root, repository.root / "snapshots", repository.root / "blobs"):
        if folder.is_symlink():
            raise ModelUnavailable(
                f"{folder} is a link to another place.", "Remove it yourself.", param="model"
            )


def _size(folder: Path) -> int:
    """Bytes of the files themselves; a link counts nothing."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files)
