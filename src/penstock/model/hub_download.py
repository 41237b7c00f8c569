"""Fetches a model from the hub into the cache that all Hugging Face libraries share.

Only configuration, tokenizer and safetensors. Imports `huggingface_hub`, which takes its time.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.utils import build_hf_headers

from penstock import __version__
from penstock.errors import ModelUnavailable, NotEnoughDisk, UnsupportedModel
from penstock.model.bridged_types import refuse_unknown
from penstock.model.catalog import CatalogEntry
from penstock.model.folder import (
    CONFIG_FILE,
    INDEX_FILE,
    PICKLE_SUFFIXES,
    WEIGHTS_FILE,
    read_config,
)
from penstock.model.hub_cache import COMMIT, CachedRepository, HubAccess
from penstock.model.hub_lock import Locked, locked
from penstock.model.hub_problems import explained
from penstock.model.hub_progress import Meter, Progress
from penstock.model.hub_transfer import TIMEOUT_SECONDS, RemoteFile, fetch, partial_path

SMALL_FILES = (
    CONFIG_FILE, "generation_config.json",
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "merges.txt", "vocab.txt", "spiece.model", "tokenizer.model",
    "chat_template.jinja",
)  # fmt: skip
TURN_SECONDS = 1.0  # between two looks at what another program has fetched
SPARE_BYTES = 64 * 2**20  # left free on the disk
_SHARD = re.compile(r"model-[0-9]+-of-[0-9]+\.safetensors")
_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def fetch_model(
    entry: CatalogEntry, hub_id: str, access: HubAccess, progress: Progress | None
) -> Path:
    """Return the folder of the model's files after fetching those that are not here yet.

    The revision is noted last, so that half a model is never taken for a whole one.
    """
    repository = access.repository(hub_id)
    with explained(entry, access):
        commit, files = _list_files(hub_id, entry.revision, access)
        total = sum(remote.size for remote in files)
        meter = Meter(total, _bytes_of_all(files, repository), progress)

        def look_again() -> None:
            """Tell how much there is, whoever brought it."""
            meter.receive(files[0].name, _bytes_of_all(files, repository) - meter.done)

        with _turn(repository, look_again):
            look_again()
            _check_disk(entry, meter.total - meter.done, access.cache_dir)
            headers = build_hf_headers(
                token=access.token, library_name="penstock", library_version=__version__
            )
            for remote in files:
                _fetch_file(remote, repository, headers, meter)
                repository.link(commit, remote.name, repository.blob(remote.digest))
                if remote.name == CONFIG_FILE:
                    _check_loadable(repository.snapshot(commit))
            repository.remember(entry.revision, commit)
    return repository.snapshot(commit)


@contextmanager
def _turn(repository: CachedRepository, while_waiting: Callable[[], None]) -> Iterator[None]:
    """Hold the repository's lock, after those who fetch the same; `while_waiting` may raise."""
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(locked(repository, TURN_SECONDS))
                break
            except Locked:
                while_waiting()
        yield


def _fetch_file(
    remote: RemoteFile, repository: CachedRepository, headers: dict[str, str], meter: Meter
) -> None:
    blob = repository.blob(remote.digest)
    if not blob.is_file():
        fetch(remote, blob, headers, lambda num_bytes: meter.receive(remote.name, num_bytes))


def _bytes_of_all(files: Sequence[RemoteFile], repository: CachedRepository) -> int:
    return sum(_bytes_here(remote, repository) for remote in files)


def _bytes_here(remote: RemoteFile, repository: CachedRepository) -> int:
    blob = repository.blob(remote.digest)
    partial = partial_path(blob)
    if blob.is_file():
        return remote.size
    return partial.stat().st_size if partial.is_file() else 0


def _list_files(hub_id: str, revision: str, access: HubAccess) -> tuple[str, list[RemoteFile]]:
    """Return the commit and the files of it to fetch, the configuration first, weights last."""
    api = HfApi(endpoint=access.endpoint, token=access.token)
    about = api.model_info(hub_id, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS)
    if not COMMIT.fullmatch(about.sha or ""):
        raise ModelUnavailable(
            f"{access.endpoint} did not say which commit {hub_id}@{revision} is.",
            "Check HF_ENDPOINT.",
        )
    siblings = {sibling.rfilename: sibling for sibling in about.siblings or ()}
    files = []
    for name in _choose(hub_id, siblings):
        size, digest = _size_and_digest(siblings[name])
        url = hf_hub_url(hub_id, name, revision=about.sha, endpoint=access.endpoint)
        files.append(RemoteFile(name=name, url=url, size=size, digest=digest))
    return about.sha, files


def _choose(hub_id: str, names: Mapping[str, Any]) -> list[str]:
    """Choose configuration, tokenizer and safetensors; a repository without them is refused."""
    small = [name for name in SMALL_FILES if name in names]
    if CONFIG_FILE not in names:
        raise UnsupportedModel(
            f"{hub_id} has no {CONFIG_FILE}: it is not a Transformers model.",
            "Choose a repository that transformers can load.",
        )
    if WEIGHTS_FILE in names:
        return [*small, WEIGHTS_FILE]
    shards = sorted(name for name in names if _SHARD.fullmatch(name))
    if INDEX_FILE in names and shards:
        return [*small, INDEX_FILE, *shards]
    has_pickle = any(name.endswith(PICKLE_SUFFIXES) for name in names)
    reason = "only as pickle files, which can run any code" if has_pickle else "in no known format"
    raise UnsupportedModel(
        f"{hub_id} has its weights {reason}.",
        "Choose a model or a revision (owner/name@revision) with safetensors.",
    )


def _size_and_digest(sibling: Any) -> tuple[int, str]:
    size = sibling.size if sibling.lfs is None else sibling.lfs.size
    digest = sibling.blob_id if sibling.lfs is None else sibling.lfs.sha256
    if not (isinstance(size, int) and isinstance(digest, str) and _DIGEST.fullmatch(digest)):
        raise ModelUnavailable(
            f"The hub did not state the size and hash of {sibling.rfilename}.",
            "Check HF_ENDPOINT.",
        )
    return size, digest


def _check_loadable(snapshot: Path) -> None:
    """Refuse by its configuration, before the weights, what could not be loaded anyway."""
    refuse_unknown(read_config(snapshot)["model_type"])


def _check_disk(entry: CatalogEntry, num_bytes: int, folder: Path) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free = shutil.disk_usage(existing).free
    if free < num_bytes + SPARE_BYTES:
        raise NotEnoughDisk(
            f"{entry.id} needs {num_bytes / 1e6:.0f} MB more; "
            f"the disk of {existing} has {free / 1e6:.0f} MB free.",
            "Make room, or set HF_HOME to a folder on a larger disk.",
            param="model",
        )
