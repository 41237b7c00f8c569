"""What a worker tells of an adapter. Plain data."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterInfo:
    """An adapter that a loaded model keeps ready."""

    name: str
    digest: str
    num_bytes: int
