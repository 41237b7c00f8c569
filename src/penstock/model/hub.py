"""Finds a model's files on this machine, or has them fetched; knows no tensors.

What talks to the network is imported when something is fetched: that takes its time.
"""

import importlib.resources
from collections.abc import Iterator
from pathlib import Path

from penstock.errors import HubUnreachable, ModelUnavailable, NotAllowed
from penstock.model.catalog import CatalogEntry
from penstock.model.folder import check_files, is_complete
from penstock.model.hub_cache import HubAccess, hub_access
from penstock.model.hub_progress import DownloadProgress, Progress

__all__ = [
    "DownloadProgress",
    "Progress",
    "builtin_folder",
    "download",
    "local_folder",
    "remove_download",
]


def builtin_folder() -> Path:
    """Return the folder of the model that ships in the package."""
    return Path(str(importlib.resources.files("penstock"))) / "model" / "builtin"


def local_folder(entry: CatalogEntry, access: HubAccess | None = None) -> Path | None:
    """Return the folder with all of the model's files, if it is on this machine; no network."""
    access = access or hub_access()
    return next((folder for folder in _places(entry, access) if is_complete(folder)), None)


def _places(entry: CatalogEntry, access: HubAccess) -> Iterator[Path]:
    if entry.builtin:
        yield builtin_folder()
    if entry.folder is not None:
        yield entry.folder
    if folder := access.hand_placed(entry):
        yield folder
    if entry.hub_id is not None:
        snapshot = access.repository(entry.hub_id).snapshot_at(entry.revision)
        if snapshot is not None:
            yield snapshot


def download(
    entry: CatalogEntry, progress: Progress | None = None, access: HubAccess | None = None
) -> Path:
    """Return the model's folder, fetching from the hub what is not here.

    An exception from `progress` stops the download; what has arrived is used by the next one.
    """
    access = access or hub_access()
    if (folder := local_folder(entry, access)) is not None:
        return folder
    if entry.hub_id is None:
        folder = next(_places(entry, access))
        check_files(folder)
        return folder
    if access.offline:
        raise HubUnreachable(
            f"{entry.id} is not on this machine, and HF_HUB_OFFLINE forbids fetching it.",
            f"Unset HF_HUB_OFFLINE{access.or_by_hand(entry)}.",
            param="model",
        )
    from penstock.model.hub_download import fetch_model  # noqa: PLC0415  # see above

    return fetch_model(entry, entry.hub_id, access, progress)


def remove_download(entry: CatalogEntry, access: HubAccess | None = None) -> int:
    """Remove what was fetched of a model from the hub's cache; how many bytes that gave back.

    A model that came another way is refused: it ships with Penstock, or somebody put it there.
    """
    access = access or hub_access()
    if entry.hub_id is not None and access.repository(entry.hub_id).holds(entry.revision):
        from penstock.model.hub_removal import remove_revision  # noqa: PLC0415  # see above

        return remove_revision(entry, access.repository(entry.hub_id))
    folder = local_folder(entry, access)
    if entry.builtin:
        raise NotAllowed(f"{entry.id} ships with Penstock.", "It stays.", param="model")
    if folder is not None:
        raise NotAllowed(
            f"{entry.id} was put into {folder} by somebody, not fetched by Penstock.",
            "Remove the folder yourself if nobody needs it.",
            param="model",
        )
    raise ModelUnavailable(
        f"There is nothing of {entry.id} on this machine.", "Nothing has to be done.", param="model"
    )
