"""The machine a measurement ran on: its cores, instruction sets, versions, bandwidth and peak."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter, sleep
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # peers have no torch
    from torch import Tensor

INTERESTING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")
PACKAGES = ("penstock", "torch", "transformers", "tokenizers", "numpy")
BANDWIDTH_BYTES = 512 * 2**20  # far more than any cache holds
BANDWIDTH_PASSES = 5
PEAK_SIZE = 2048  # the sides of the square matrices
PEAK_PASSES = 3
PEAK_SAMPLE = 256  # the sides of a first look
PEAK_SECONDS = 1.0  # a format that would take longer than this is not measured whole
SECONDS_OF_LISTENING = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a figure depends on; nothing that names a machine or a person."""

    processor: str
    cores: int
    instruction_sets: tuple[str, ...]
    system: str
    python: str
    versions: dict[str, str]
    busy_share: float | None  # used by others when the run began


def describe() -> Machine:
    flags = set(_cpuinfo("flags").split())
    return Machine(
        processor=_cpuinfo("model name") or platform.processor() or platform.machine(),
        cores=num_cores(),
        instruction_sets=tuple(flag for flag in INTERESTING_FLAGS if flag in flags),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        versions={name: _version(name) for name in PACKAGES},
        busy_share=busy_share(),
    )


def num_cores() -> int:
    """The cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Bandwidth:
    """Measures how fast all cores together read memory. Holds half a gigabyte meanwhile."""

    def __init__(self) -> None:
        import torch

        self._matrix = torch.ones(BANDWIDTH_BYTES // 4 // 4096, 4096)
        self._vector = torch.ones(4096)

    def measure(self) -> float:
        """Bytes per second of a matrix-vector product, which reads and little else: best pass."""
        return max(self._measure_pass() for _ in range(BANDWIDTH_PASSES))

    def _measure_pass(self) -> float:
        started = perf_counter()
        self._matrix.mv(self._vector)
        return BANDWIDTH_BYTES / (perf_counter() - started)


class Peak:
    """Measures how fast all cores together multiply matrices, in the formats torch has."""

    def __init__(self) -> None:
        import torch

        self._matrices = {
            "float32": torch.ones(PEAK_SIZE, PEAK_SIZE),
            "bfloat16": torch.ones(PEAK_SIZE, PEAK_SIZE, dtype=torch.bfloat16),
        }

    def measure(self) -> dict[str, float]:
        """Multiplications and additions per second of a square product: best pass, by format."""
        return {name: _rate(matrix) for name, matrix in self._matrices.items()}


def _rate(matrix: Tensor) -> float:
    """Of whole matrices, but where a format is emulated of a small part of them."""
    rate = _rate_of(matrix[:PEAK_SAMPLE, :PEAK_SAMPLE].contiguous())
    return rate if 2 * PEAK_SIZE**3 / rate > PEAK_SECONDS else max(rate, _rate_of(matrix))


def _rate_of(matrix: Tensor) -> float:
    def seconds() -> float:
        started = perf_counter()
        matrix @ matrix
        return perf_counter() - started

    return 2 * len(matrix) ** 3 / min(seconds() for _ in range(PEAK_PASSES))


def busy_share() -> float | None:
    """How much of the processors others use while we do nothing; `None` off Linux."""
    before = _processor_times()
    sleep(SECONDS_OF_LISTENING)
    after = _processor_times()
    if before is None or after is None:
        return None
    idle, total = after[0] - before[0], after[1] - before[1]
    return 1 - idle / total


def _processor_times() -> tuple[int, int] | None:
    """Idle ticks and all ticks of all processors since the machine started."""
    try:
        first = Path("/proc/stat").read_text().partition("\n")[0]
    except OSError:
        return None
    ticks = [int(field) for field in first.split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def _cpuinfo(field: str) -> str:
    """The first value of a field of Linux's description of the processor; empty elsewhere."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    values = (line.partition(":")[2].strip() for line in lines if line.startswith(field))
    return next(values, "")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"
