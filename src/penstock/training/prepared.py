"""A prepared folder: token files that are read as memory maps, and what is known of them.

`data.json` is written last, so a folder that has one is whole. Knows no texts and no models.
"""

import hashlib
import json
import os
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from penstock.errors import RecipeError
from penstock.tracking.durable import write_durably
from penstock.training.segments import Kind

INDEX_FILE = "data.json"
VERSION = 1
SPLITS = ("train", "validation")

Tokens = NDArray[np.uint16] | NDArray[np.uint32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedSource:
    """Documents or examples as token ids, one after another; a document ends with its end token.

    Of an example only the counted tokens are learnt; of a pair those are the decoder's.
    """

    tokens: Tokens
    ends: NDArray[np.int64]  # (documents,) one past the last token of each
    num_words: int
    kind: Kind = "text"
    counted: NDArray[np.bool_] | None = None  # (tokens,) for examples and pairs
    num_bytes: int = 0

    def document(self, number: int) -> slice:
        """Return where a document's tokens lie."""
        return slice(int(self.ends[number - 1]) if number else 0, int(self.ends[number]))


@dataclass(frozen=True, slots=True)
class Piece:
    """Some tokens, and which of them are counted where not all are."""

    ids: list[int]
    counted: list[bool] | None


class SplitWriter:
    """Appends documents to the files of one split. Owns the files until it is closed."""

    def __init__(self, folder: Path, split: str, dtype: np.dtype[Any]) -> None:
        self._folder = folder
        self._split = split
        self._dtype = dtype
        self._tokens: BinaryIO = (folder / f"{split}.tokens").open("w+b")
        self._counted: BinaryIO | None = None
        self._ends = array("q")
        self.num_tokens = 0
        self.num_words = 0
        self.num_bytes = 0

    def add(self, ids: Sequence[int], counted: Sequence[bool] | None = None) -> None:
        """Append a document, or a piece of one."""
        self._tokens.write(np.asarray(ids, dtype=self._dtype).tobytes())
        if counted is not None:
            if self._counted is None:
                self._counted = (self._folder / f"{self._split}.counted").open("w+b")
            self._counted.write(np.asarray(counted, dtype=np.bool_).tobytes())
        self.num_tokens += len(ids)
        self._ends.append(self.num_tokens)

    def note(self, text: str) -> None:
        """Count the words and bytes of what was added."""
        self.num_words += len(text.split())
        self.num_bytes += len(text.encode("utf-8", "surrogatepass"))

    @property
    def num_documents(self) -> int:
        return len(self._ends)

    def lengths(self) -> NDArray[np.int64]:
        """Return how many tokens each document has."""
        ends: NDArray[np.int64] = np.asarray([0, *self._ends], dtype=np.int64)
        return ends[1:] - ends[:-1]

    def last(self, num_tokens: int) -> "Piece":
        """Return the last tokens that were added."""
        counted = None
        if self._counted is not None:
            counted = _read_tail(self._counted, num_tokens, np.dtype(np.bool_)).tolist()
        return Piece(_read_tail(self._tokens, num_tokens, self._dtype).tolist(), counted)

    def drop_last(self, num_tokens: int) -> None:
        """Forget the last tokens that were added; a document may be shortened."""
        self.num_tokens -= num_tokens
        self._tokens.truncate(self.num_tokens * self._dtype.itemsize)
        self._tokens.seek(0, os.SEEK_END)
        if self._counted is not None:
            self._counted.truncate(self.num_tokens)
            self._counted.seek(0, os.SEEK_END)
        while self._ends and self._ends[-1] > self.num_tokens:
            self._ends.pop()
        if self.num_tokens and (not self._ends or self._ends[-1] < self.num_tokens):
            self._ends.append(self.num_tokens)

    def release(self) -> None:
        """Let go of the files."""
        self._tokens.close()
        if self._counted is not None:
            self._counted.close()

    def close(self) -> dict[str, int]:
        """Write what is left and return the sizes."""
        self.release()
        ends = np.frombuffer(self._ends, dtype=np.int64) if self._ends else np.zeros(0, np.int64)
        (self._folder / f"{self._split}.ends").write_bytes(ends.tobytes())
        return {
            "num_tokens": self.num_tokens,
            "num_documents": len(self._ends),
            "num_words": self.num_words,
            "num_bytes": self.num_bytes,
        }


def dtype_for(vocab_size: int) -> np.dtype[Any]:
    """The smallest type that holds every token id."""
    return np.dtype(np.uint16 if vocab_size <= 1 << 16 else np.uint32)


def is_prepared(folder: Path) -> bool:
    """Whether a path is a folder that `penstock data prepare` finished."""
    return (folder / INDEX_FILE).is_file()


def read_index(folder: Path) -> dict[str, Any]:
    """Return what `data.json` says; refuse one of another version."""
    try:
        index: dict[str, Any] = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(
            f"{folder / INDEX_FILE} is not valid JSON ({error}).", "Prepare the data again."
        ) from None
    if not isinstance(index, dict) or index.get("version") != VERSION:
        raise RecipeError(
            f"{folder} was not prepared by this version of Penstock.", "Prepare the data again."
        )
    return index


def write_index(folder: Path, index: dict[str, Any]) -> None:
    """Write `data.json`, which makes the folder count."""
    content = {"version": VERSION, **index}
    write_durably(folder / INDEX_FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def open_split(folder: Path, split: str) -> TokenizedSource:
    """Map one split of a prepared folder; nothing of it is read yet."""
    index = read_index(folder)
    sizes = index["splits"][split]
    num_tokens = sizes["num_tokens"]
    kind: Kind = index["kind"]
    counted = None
    if kind != "text":
        counted = _mapped(folder / f"{split}.counted", np.dtype(np.bool_), num_tokens)
    return TokenizedSource(
        tokens=_mapped(folder / f"{split}.tokens", np.dtype(index["dtype"]), num_tokens),
        ends=_mapped(folder / f"{split}.ends", np.dtype(np.int64), sizes["num_documents"]),
        num_words=sizes["num_words"],
        num_bytes=sizes["num_bytes"],
        kind=kind,
        counted=counted,
    )


def digest_of(folder: Path) -> str:
    """Return a SHA-256 over the token files of both splits."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for suffix in ("tokens", "ends", "counted"):
            path = folder / f"{split}.{suffix}"
            if path.is_file():
                with path.open("rb") as file:
                    while chunk := file.read(1 << 20):
                        digest.update(chunk)
    return digest.hexdigest()


def _mapped(path: Path, dtype: np.dtype[Any], length: int) -> NDArray[Any]:
    size = path.stat().st_size if path.is_file() else 0
    if size != length * dtype.itemsize:
        raise RecipeError(
            f"{path} has {size} bytes where {length * dtype.itemsize} belong.",
            "Prepare the data again.",
        )
    if length == 0:
        return np.zeros(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r", shape=(length,))


def _read_tail(file: BinaryIO, length: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    file.flush()
    file.seek(-length * dtype.itemsize, os.SEEK_END)
    return np.frombuffer(file.read(length * dtype.itemsize), dtype=dtype)
