"""Decides what happens to loaded models over time: restarts, idleness, room. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.errors import NotEnoughMemory

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0  # a model that lived so long starts with a clean record
GIGABYTE = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator decides about memory and time."""

    memory_bytes: int | None = None  # for all workers together; none: what the machine has
    keep_alive_seconds: float | None = None  # unused models go after so long; none: they stay
    hang_seconds: float = 120.0  # an engine that does not move for so long is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A loaded model as far as memory goes."""

    name: str
    num_bytes: int
    used_at: float
    may_go: bool  # it has no request and was not asked for at start


def pause_before_restart(num_crashes: int) -> float:
    """How many seconds to wait after this many crashes in a row."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (num_crashes - 1), LONGEST_PAUSE_SECONDS)


def victims(name: str, needed: int, available: int, holders: Sequence[Holder]) -> list[str]:
    """The models to unload so that one fits, the least recently used first.

    Raises `NotEnoughMemory` when unloading all that may go would not do: then nothing is unloaded.
    """
    going: list[str] = []
    freed = 0
    for holder in sorted((h for h in holders if h.may_go), key=lambda h: h.used_at):
        if available + freed >= needed:
            break
        going.append(holder.name)
        freed += holder.num_bytes
    if available + freed < needed:
        raise _refusal(name, needed, available, holders)
    return going


def _refusal(name: str, needed: int, available: int, holders: Sequence[Holder]) -> NotEnoughMemory:
    loaded = ", ".join(f"{h.name} ({h.num_bytes / GIGABYTE:.1f} GB)" for h in holders)
    hint = "Choose a smaller model, or set PENSTOCK_ENGINE__DTYPE=bfloat16."
    return NotEnoughMemory(
        f"{name} needs {needed / GIGABYTE:.1f} GB of memory; "
        f"{available / GIGABYTE:.1f} GB are free.",
        f"Unload one of these: {loaded}. {hint}" if loaded else hint,
        param="model",
    )
