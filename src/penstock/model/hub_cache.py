"""Where the hub's files lie on this machine, laid out as every Hugging Face library does it.

    models--owner--name/refs/main              the commit that a branch or tag stood for
    models--owner--name/snapshots/COMMIT/FILE  a link into blobs/
    models--owner--name/blobs/HASH             the contents

Reads and writes no network.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from penstock.model.catalog import CatalogEntry

DEFAULT_ENDPOINT = "https://huggingface.co"
COMMIT = re.compile(r"[0-9a-f]{40}")
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAccess:
    """How to reach the hub, and where its files are kept: Hugging Face's own variables decide."""

    cache_dir: Path
    models_dir: Path | None  # where people put models by hand
    endpoint: str = DEFAULT_ENDPOINT
    token: str | None = None  # None: the one that `hf auth login` stored, if any
    offline: bool = False

    def hand_placed(self, entry: CatalogEntry) -> Path | None:
        """Return the folder in which people may put the model by hand."""
        name = entry.id.replace("/", "--")
        return None if self.models_dir is None else self.models_dir / name

    def or_by_hand(self, entry: CatalogEntry) -> str:
        """Return the end of a hint: the other way to get the model here."""
        folder = self.hand_placed(entry)
        return "" if folder is None else f", or put the model's files into {folder}"

    def repository(self, hub_id: str) -> "CachedRepository":
        """Return the place of a repository in the cache."""
        return CachedRepository(self.cache_dir / f"models--{hub_id.replace('/', '--')}")


def hub_access(
    environ: Mapping[str, str] = os.environ,
    *,
    data_dir: Path | None = None,
    token: str | None = None,
) -> HubAccess:
    """Read `HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` and the like.

    Models placed by hand are in `models/` of `data_dir`, or of `PENSTOCK_DATA_DIR` without one.
    A `token` given, as the settings have it, wins over the environment's.
    """
    user_cache = environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = environ.get("HF_HOME") or f"{user_cache}/huggingface"
    cache_dir = environ.get("HF_HUB_CACHE") or f"{home}/hub"
    if data_dir is None and environ.get("PENSTOCK_DATA_DIR"):
        data_dir = Path(environ["PENSTOCK_DATA_DIR"])
    offline = environ.get("HF_HUB_OFFLINE") or environ.get("TRANSFORMERS_OFFLINE") or ""
    return HubAccess(
        cache_dir=Path(os.path.expandvars(cache_dir)).expanduser(),
        models_dir=None if data_dir is None else data_dir.expanduser() / "models",
        endpoint=(environ.get("HF_ENDPOINT") or DEFAULT_ENDPOINT).rstrip("/"),
        token=token or environ.get("HF_TOKEN") or environ.get("HUGGINGFACE_TOKEN") or None,
        offline=offline.lower() in _TRUE,
    )


@dataclass(frozen=True, slots=True)
class CachedRepository:
    """One repository's folder in the cache."""

    root: Path

    @property
    def lock(self) -> Path:
        """The file that keeps two downloads of this repository apart."""
        return self.root.parent / ".locks" / self.root.name / "penstock.lock"

    def blob(self, digest: str) -> Path:
        """Return where the contents with this hash belong."""
        return self.root / "blobs" / digest

    def snapshot(self, commit: str) -> Path:
        """Return the folder of a commit's files."""
        return self.root / "snapshots" / commit

    def snapshot_at(self, revision: str) -> Path | None:
        """Return the folder that a branch, tag or commit stood for when it was fetched."""
        if COMMIT.fullmatch(revision):
            return self.snapshot(revision)
        try:
            commit = (self.root / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return None
        return self.snapshot(commit) if COMMIT.fullmatch(commit) else None

    def holds(self, revision: str) -> bool:
        """Whether a revision is here, or what is left of a download that never finished."""
        snapshot = self.snapshot_at(revision)
        if snapshot is not None:
            return snapshot.is_dir()
        return self.root.is_dir() and not self.revisions()

    def revisions(self) -> dict[str, str]:
        """The commit of each branch and tag that was fetched."""
        refs = self.root / "refs"
        found = (file for file in refs.rglob("*") if file.is_file())
        names = [file.relative_to(refs).as_posix() for file in found]
        known = {name: self.snapshot_at(name) for name in names}
        return {name: folder.name for name, folder in known.items() if folder is not None}

    def snapshots(self) -> list[Path]:
        """The folders of all commits of which something is here."""
        folder = self.root / "snapshots"
        return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []

    def link(self, commit: str, name: str, blob: Path) -> None:
        """Let the commit's file `name` be these contents."""
        file = self.snapshot(commit) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)
        try:
            file.symlink_to(Path("..", "..", "blobs", blob.name))
        except OSError:  # a file system without links: the snapshot then owns the file
            blob.replace(file)

    def remember(self, revision: str, commit: str) -> None:
        """Note the commit that a branch or tag stands for now; its files must all be here."""
        if revision == commit:
            return
        ref = self.root / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        partial = ref.with_name(f".{revision}.{os.getpid()}.partial")
        partial.write_text(commit, encoding="ascii")
        partial.replace(ref)
