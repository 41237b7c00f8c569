"""Reads and checks the header of a safetensors file before anything is mapped; knows no tensors.

A header that points outside its file is how a hostile checkpoint reads other memory.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from penstock.errors import ModelUnavailable, UnsupportedModel

MAX_HEADER_BYTES = 16 * 2**20
_BYTES_OF_LENGTH = 8
_ITEM_SIZES = {
    "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4, "I64": 8, "U64": 8, "F64": 8,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRecord:
    """What a header says of one tensor. `start` and `end` count bytes after the header."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def num_elements(self) -> int:
        """The product of the shape."""
        return math.prod(self.shape)


def read_header(path: Path) -> dict[str, TensorRecord]:
    """Return what `path` holds, by name, after checking that all of it lies inside the file."""
    try:
        file_size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_BYTES_OF_LENGTH), "little")
            room = min(file_size - _BYTES_OF_LENGTH, MAX_HEADER_BYTES)
            if not 2 <= length <= room:
                raise _broken(path, f"its header claims {length} bytes of a file of {file_size}")
            header = file.read(length)
    except OSError as error:
        raise ModelUnavailable(
            f"{path} cannot be read ({error.strerror}).", "Check the model's folder."
        ) from error
    records = _parse(path, header)
    _check_layout(path, records, file_size - _BYTES_OF_LENGTH - length)
    return records


def _parse(path: Path, header: bytes) -> dict[str, TensorRecord]:
    try:
        content = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"its header is not JSON ({error})") from error
    if not isinstance(content, dict):
        raise _broken(path, "its header is not a JSON object")
    return {
        name: _record(path, name, entry)
        for name, entry in content.items()
        if name != "__metadata__"
    }


def _record(path: Path, name: str, entry: Any) -> TensorRecord:
    match entry:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [start, end]} if all(
            type(number) is int and number >= 0 for number in (*shape, start, end)
        ):
            record = TensorRecord(dtype=dtype, shape=tuple(shape), start=start, end=end)
        case _:
            raise _broken(path, f"the header's entry for {name!r} is malformed")
    item_size = _ITEM_SIZES.get(dtype)
    if item_size is None:
        raise UnsupportedModel(
            f"{path}: {name!r} has the data type {dtype}, which Penstock does not read.",
            f"Use one of {', '.join(sorted(_ITEM_SIZES))}.",
        )
    if record.num_elements * item_size != end - start:
        raise _broken(path, f"{name!r} has the shape {list(shape)} but {end - start} bytes")
    return record


def _check_layout(path: Path, records: dict[str, TensorRecord], num_bytes: int) -> None:
    """Tensors follow each other without gap or overlap and end where the file ends."""
    position = 0
    for name, record in sorted(records.items(), key=lambda item: (item[1].start, item[1].end)):
        if record.start != position:
            raise _broken(path, f"{name!r} starts at byte {record.start} instead of {position}")
        position = record.end
    if position != num_bytes:
        raise _broken(path, f"its tensors need {position} bytes but it has {num_bytes}")


def _broken(path: Path, reason: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"{path} is not a whole safetensors file: {reason}.", "Fetch the model's files again."
    )
