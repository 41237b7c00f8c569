"""Cuts a stream of bytes into messages: four bytes of length, then as many of JSON."""

import json
import struct
from collections.abc import Iterator
from typing import Any

MAX_FRAME_BYTES = 64 * 2**20
_LENGTH = struct.Struct(">I")
_TO_JSON = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), check_circular=False).encode


def frame(plain: Any) -> bytes:
    """A plain value as it goes over the wire. Lone surrogates survive."""
    payload = _TO_JSON(plain).encode("ascii")
    if len(payload) > MAX_FRAME_BYTES:
        raise ValueError(f"A message has {len(payload)} bytes; {MAX_FRAME_BYTES} may be sent.")
    return _LENGTH.pack(len(payload)) + payload


class FrameReader:
    """Keeps what has arrived of an unfinished frame."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, received: bytes) -> Iterator[Any]:
        """The plain values that are complete now. Raises `ValueError` for what is no frame."""
        self._pending += received
        start = 0
        while (payload := self._payload_at(start)) is not None:
            start += _LENGTH.size + len(payload)
            yield json.loads(payload)
        del self._pending[:start]

    def _payload_at(self, start: int) -> bytes | None:
        body = start + _LENGTH.size
        if len(self._pending) < body:
            return None
        (length,) = _LENGTH.unpack_from(self._pending, start)
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"A message claims {length} bytes; {MAX_FRAME_BYTES} may be sent.")
        if len(self._pending) < body + length:
            return None
        return bytes(self._pending[body : body + length])
