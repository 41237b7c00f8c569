"""Brings one file from the hub to its place, going on where an earlier attempt stopped.

A file takes its final name only when size and hash are right. Knows nothing of models.
"""

import hashlib
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub.errors import HfHubHTTPError, HTTPError
from huggingface_hub.utils import get_session, hf_raise_for_status

from penstock.errors import HubUnreachable, ModelUnavailable

CHUNK_BYTES = 2**20
TIMEOUT_SECONDS = 30
MAX_FAILURES = 5  # in a row, each without a single new byte
PAUSE_SECONDS = 1.0
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteFile:
    """A file to fetch. `digest` is its SHA-256, or for small files git's hash of them."""

    name: str
    url: str
    size: int
    digest: str


def partial_path(blob: Path) -> Path:
    """Return where a file grows until it is whole."""
    return blob.with_name(f"{blob.name}.partial")


def fetch(
    remote: RemoteFile,
    blob: Path,
    headers: dict[str, str],
    receive: Callable[[int], None],
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Fetch the file to `blob`; `receive` hears of all bytes that arrive, negative if lost.

    What has arrived stays, whatever ends this: the next call goes on from there. An exception from
    `receive`, which also hears of a line that stands still, ends it.
    """
    blob.parent.mkdir(parents=True, exist_ok=True)
    partial = partial_path(blob)
    failures = 0
    while (have := _size(partial)) < remote.size:
        try:
            _append(remote, partial, headers, receive)
        except HfHubHTTPError:
            raise  # an answer, not a broken line
        except HTTPError:
            pass  # a broken line shows below as no new bytes
        failures = 0 if _size(partial) > have else failures + 1
        if failures == MAX_FAILURES:
            raise HubUnreachable(
                f"The download of {remote.name} stopped at {have} of {remote.size} bytes.",
                "Check the network and start it again: it goes on from there.",
            )
        if failures:
            receive(0)  # whoever follows may want to stop
            pause(PAUSE_SECONDS * failures)
    _check(remote, partial, receive)
    partial.replace(blob)


def _append(
    remote: RemoteFile, partial: Path, headers: dict[str, str], receive: Callable[[int], None]
) -> None:
    """Request what is missing and write it as it comes."""
    have = _size(partial)
    wanted = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with get_session().stream(
        "GET",
        remote.url,
        headers=headers | wanted,
        timeout=TIMEOUT_SECONDS,
        follow_redirects=True,
    ) as response:
        hf_raise_for_status(response)
        resumed = response.status_code == 206
        if have and not resumed:
            receive(-have)  # the server sends it all again
        with partial.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_bytes():  # as it comes: what is buffered can be lost
                file.write(chunk)
                file.flush()
                receive(len(chunk))


def _check(remote: RemoteFile, partial: Path, receive: Callable[[int], None]) -> None:
    if _size(partial) == remote.size and _digest(partial, remote) == remote.digest:
        return
    receive(-_size(partial))
    partial.unlink()
    raise ModelUnavailable(
        f"{remote.name} arrived damaged: its hash is not the one that the hub states.",
        "Start the download again.",
    )


def _digest(path: Path, remote: RemoteFile) -> str:
    if _SHA256.fullmatch(remote.digest):
        digest = hashlib.sha256()
    else:  # what git calls the file
        digest = hashlib.sha1(b"blob %d\0" % remote.size, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
