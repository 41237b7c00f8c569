"""Who goes so that a model fits, when a dead worker comes back, and how memory is counted."""

import math
import os
from pathlib import Path

import pytest

from penstock.errors import NotAllowed, NotEnoughMemory
from penstock.serving.memory import free_memory, memory_of_process, total_memory
from penstock.serving.upkeep import (
    Holder,
    Room,
    Rules,
    check_keep_alive,
    has_outstayed,
    pause_before_restart,
    room,
    victims,
)


def holder(name: str, num_bytes: int, used_at: float, *, may_go: bool = True) -> Holder:
    return Holder(name=name, num_bytes=num_bytes, used_at=used_at, may_go=may_go)


HOLDERS = [holder("new", 30, 3.0), holder("old", 20, 1.0), holder("busy", 90, 0.0, may_go=False)]


@pytest.mark.parametrize(
    ("needed", "available", "going"),
    [
        (10, 10, []),
        (11, 10, ["old"]),
        (30, 10, ["old"]),
        (31, 10, ["old", "new"]),
        (60, 10, ["old", "new"]),
    ],
)
def test_the_least_recently_used_go_and_no_more_than_must(
    needed: int, available: int, going: list[str]
) -> None:
    assert victims("m", needed, Room(num_bytes=available), HOLDERS) == going


def test_what_does_not_fit_even_so_is_refused_with_the_numbers() -> None:
    gigabytes = 10**9
    holders = [holder("other", 2 * gigabytes, 0.0, may_go=False)]

    with pytest.raises(NotEnoughMemory) as refused:
        victims("qwen", 4_400_000_000, Room(num_bytes=3_100_000_000), holders)

    assert str(refused.value) == (
        "qwen needs 4.4 GB of memory; 3.1 GB are free. Unload one of these: other (2.0 GB). "
        "Choose a smaller model, or set PENSTOCK_ENGINE__DTYPE=bfloat16."
    )


def test_what_an_operators_budget_refuses_names_the_budget() -> None:
    with pytest.raises(NotEnoughMemory) as refused:
        victims("qwen", 4_400_000_000, Room(num_bytes=2_000_000_000, is_budget=True), [])

    assert str(refused.value) == (
        "qwen needs 4.4 GB of memory; 2.0 GB are free of what models may take together. "
        "Choose a smaller model, or set PENSTOCK_ENGINE__DTYPE=bfloat16. "
        "PENSTOCK_LIMITS__MEMORY_MIB sets how much that is."
    )


@pytest.mark.parametrize(
    ("budget", "space"),
    [
        (None, Room(num_bytes=100)),
        (500, Room(num_bytes=100)),
        (90, Room(num_bytes=50, is_budget=True)),
        (30, Room(num_bytes=0, is_budget=True)),
    ],
)
def test_the_room_is_what_the_machine_has_or_less_by_the_budget(
    budget: int | None, space: Room
) -> None:
    assert room(free=100, taken=40, rules=Rules(memory_bytes=budget)) == space


@pytest.mark.parametrize(
    ("idle", "of_request", "of_operator", "goes"),
    [
        (1e9, None, None, False),
        (9.0, None, 10.0, False),
        (11.0, None, 10.0, True),
        (11.0, 60.0, 10.0, False),
        (61.0, 60.0, None, True),
        (0.1, 0.0, None, True),
        (1e9, math.inf, 10.0, False),
    ],
)
def test_a_requests_keep_alive_wins_over_the_operators(
    idle: float, of_request: float | None, of_operator: float | None, goes: bool
) -> None:
    assert has_outstayed(idle, of_request, Rules(keep_alive_seconds=of_operator)) is goes


def test_a_keep_alive_is_refused_where_only_the_operator_decides() -> None:
    rules = Rules(obeys_keep_alive=False)

    check_keep_alive(None, rules)
    with pytest.raises(NotAllowed, match="Leave keep_alive out"):
        check_keep_alive(0.0, rules)


def test_pauses_grow_with_every_crash_in_a_row_and_have_an_end() -> None:
    assert [pause_before_restart(n) for n in (1, 2, 3, 4, 20)] == [0.5, 1.0, 2.0, 4.0, 30.0]


def test_a_containers_limit_counts_and_what_mirrors_files_is_free(tmp_path: Path) -> None:
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    proc.mkdir()
    cgroup.mkdir()
    (proc / "meminfo").write_text("MemTotal: 900 kB\nMemAvailable: 800 kB\nHugePages_Total: 0\n")
    assert free_memory(proc, cgroup) == 800 * 1024

    (cgroup / "memory.max").write_text("500000\n")
    (cgroup / "memory.current").write_text("400000\n")
    (cgroup / "memory.stat").write_text("anon 300000\ninactive_file 50000\n")
    assert free_memory(proc, cgroup) == 150_000

    (cgroup / "memory.max").write_text("max\n")
    assert free_memory(proc, cgroup) == 800 * 1024


def test_this_process_holds_memory_and_one_that_is_gone_none() -> None:
    assert 1_000_000 < memory_of_process(os.getpid()) < total_memory()
    assert memory_of_process(2**22 + 1) == 0
