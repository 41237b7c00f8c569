"""Decides what happens to loaded models over time: restarts, idleness, room. Pure functions."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.errors import NotAllowed, NotEnoughMemory

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 5.0  # a model that lived so long starts with a clean record
GIGABYTE = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an operator decides about memory and time."""

    memory_bytes: int | None = None  # for all workers together; none: what the machine has
    keep_alive_seconds: float | None = None  # unused models go after so long; none: they stay
    obeys_keep_alive: bool = True  # a request may say how long its model stays
    hang_seconds: float = 120.0  # an engine that does not move for so long is ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A loaded model as far as memory goes."""

    name: str
    num_bytes: int
    used_at: float
    may_go: bool  # it has no request and was not asked for at start


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much memory a model may take now, and whether an operator's budget says so."""

    num_bytes: int
    is_budget: bool = False


def room(free: int, taken: int, rules: Rules) -> Room:
    """What the machine has `free`, or less: what `taken` leaves of the budget."""
    if rules.memory_bytes is None:
        return Room(num_bytes=free)
    left = max(0, rules.memory_bytes - taken)
    return Room(num_bytes=min(free, left), is_budget=left < free)


def allowed_seconds(keep_alive_seconds: float | None, rules: Rules) -> float | None:
    """How long a model may be unused; none: for ever. A request's word wins over the operator's."""
    return rules.keep_alive_seconds if keep_alive_seconds is None else keep_alive_seconds


def has_outstayed(idle_seconds: float, keep_alive_seconds: float | None, rules: Rules) -> bool:
    """Whether a model is to go that was not used for so long. Infinity keeps it."""
    allowed = allowed_seconds(keep_alive_seconds, rules)
    return allowed is not None and idle_seconds > allowed


def check_keep_alive(keep_alive_seconds: float | None, rules: Rules) -> None:
    """Refuse a request's keep-alive where only the operator decides how long models stay."""
    if keep_alive_seconds is not None and not rules.obeys_keep_alive:
        raise NotAllowed(
            "This server does not let requests decide how long a model stays loaded.",
            "Leave keep_alive out. Its operator can set PENSTOCK_MODEL_CHANGES=on.",
            param="keep_alive",
        )


def pause_before_restart(num_crashes: int) -> float:
    """How many seconds to wait after this many crashes in a row."""
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (num_crashes - 1), LONGEST_PAUSE_SECONDS)


def victims(name: str, needed: int, room: Room, holders: Sequence[Holder]) -> list[str]:
    """The models to unload so that one fits, the least recently used first.

    Raises `NotEnoughMemory` when unloading all that may go would not do: then nothing is unloaded.
    """
    going: list[str] = []
    freed = 0
    for holder in sorted((h for h in holders if h.may_go), key=lambda h: h.used_at):
        if room.num_bytes + freed >= needed:
            break
        going.append(holder.name)
        freed += holder.num_bytes
    if room.num_bytes + freed < needed:
        raise _refusal(name, needed, room, holders)
    return going


def _refusal(name: str, needed: int, room: Room, holders: Sequence[Holder]) -> NotEnoughMemory:
    loaded = ", ".join(f"{h.name} ({h.num_bytes / GIGABYTE:.1f} GB)" for h in holders)
    free = f"{room.num_bytes / GIGABYTE:.1f} GB are free"
    hints = ["Choose a smaller model, or set PENSTOCK_ENGINE__DTYPE=bfloat16."]
    if loaded:
        hints.insert(0, f"Unload one of these: {loaded}.")
    if room.is_budget:
        free += " of what models may take together"
        hints.append("PENSTOCK_LIMITS__MEMORY_MIB sets how much that is.")
    return NotEnoughMemory(
        f"{name} needs {needed / GIGABYTE:.1f} GB of memory; {free}.",
        " ".join(hints),
        param="model",
    )
