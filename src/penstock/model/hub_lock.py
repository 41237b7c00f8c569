"""Keeps two programs from changing one repository of the hub's cache at a time.

Imports `huggingface_hub`, which takes its time.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from huggingface_hub.utils import WeakFileLock

from penstock.model.hub_cache import CachedRepository


class Locked(Exception):
    """Another program, or another thread, is at work on the repository."""


@contextmanager
def locked(repository: CachedRepository, patience_seconds: float) -> Iterator[None]:
    """Hold the repository's lock during the block. Raises `Locked` if others keep it so long."""
    repository.lock.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        try:
            stack.enter_context(WeakFileLock(repository.lock, timeout=patience_seconds))
        except TimeoutError:
            raise Locked from None
        yield
