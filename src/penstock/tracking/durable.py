"""Files that are there whole or not at all, whatever happens while they are written."""

import os
from pathlib import Path


def write_durably(path: Path, content: str | bytes) -> None:
    """Replace a file: written beside it, flushed to the disk, renamed over it.

    After a failure the file is as it was, and nothing is left beside it.
    """
    raw = content.encode() if isinstance(content, str) else content
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise
    flush(path.parent)


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
