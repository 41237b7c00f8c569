"""What `penstock doctor` looks at. Each check is one function that finds out and judges."""

import os
import platform
import shutil
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from penstock import __version__
from penstock.model.dtypes import Dtype, packed_bytes

X86_FLAGS = (
    "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8",
)  # fmt: skip
ARM_FLAGS = ("asimd", "asimddp", "bf16", "i8mm", "sve")
GIBIBYTE = 2**30
ENOUGH_MEMORY = 1 * GIBIBYTE
ENOUGH_DISK = 1 * GIBIBYTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at: `text` says what is, `hint` what to do about it."""

    name: str
    text: str
    state: Literal["ok", "note", "problem"] = "ok"
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the checks need to know of the settings."""

    host: str
    port: int
    data_dir: Path
    num_threads: int | None
    dtype: Dtype = "float32"


def examine(surroundings: Surroundings) -> list[Finding]:
    """Carry out every check, in the order they are shown."""
    checks: tuple[Callable[[Surroundings], Finding], ...] = (
        check_penstock,
        check_torch,
        check_kernels,
        check_cores,
        check_memory,
        check_weights,
        check_data_dir,
        check_disk,
        check_models,
        check_port,
    )
    return [check(surroundings) for check in checks]


def check_penstock(_: Surroundings) -> Finding:
    where = f"{platform.system()} {platform.machine()}"
    return Finding(
        name="penstock", text=f"{__version__} on Python {platform.python_version()}, {where}"
    )


def check_torch(_: Surroundings) -> Finding:
    import torch

    device = "with CUDA" if torch.cuda.is_available() else "on the CPU"
    return Finding(name="torch", text=f"{torch.__version__} {device}")


def check_kernels(surroundings: Surroundings) -> Finding:
    from penstock.ops.choose import choose_ops

    chosen = choose_ops(num_threads=surroundings.num_threads or available_cores())
    return Finding(name="kernels", text=f"{chosen.ops.name}: {chosen.reason}")


def check_cores(surroundings: Surroundings) -> Finding:
    cores = available_cores()
    threads = surroundings.num_threads or cores
    flags = [flag for flag in X86_FLAGS + ARM_FLAGS if flag in cpu_flags()]
    text = f"{cores} cores, {threads} threads; {' '.join(flags) or 'no notable instruction sets'}"
    if threads > cores:
        return Finding(
            name="cores", text=text, state="note", hint="More threads than cores slow each other."
        )
    return Finding(name="cores", text=text)


def check_memory(_: Surroundings) -> Finding:
    free, total = free_memory()
    text = f"{free / GIBIBYTE:.1f} GiB free of {total / GIBIBYTE:.1f}"
    if free < ENOUGH_MEMORY:
        return Finding(name="memory", text=text, state="note", hint="Only small models fit.")
    return Finding(name="memory", text=text)


def check_weights(surroundings: Surroundings) -> Finding:
    gigabytes = packed_bytes(1_000_000_000, surroundings.dtype) / 1e9
    return Finding(
        name="weights",
        text=f"kept as {surroundings.dtype}: {gigabytes:.2f} GB for a billion parameters",
    )


def check_data_dir(surroundings: Surroundings) -> Finding:
    folder = existing_parent(surroundings.data_dir)
    if os.access(folder, os.W_OK):
        return Finding(name="data folder", text=str(surroundings.data_dir))
    return Finding(
        name="data folder",
        text=f"{surroundings.data_dir} cannot be written.",
        state="problem",
        hint="Choose another with --data-dir or PENSTOCK_DATA_DIR.",
    )


def check_disk(surroundings: Surroundings) -> Finding:
    free = shutil.disk_usage(existing_parent(surroundings.data_dir)).free
    text = f"{free / GIBIBYTE:.1f} GiB free"
    if free < ENOUGH_DISK:
        return Finding(name="disk", text=text, state="note", hint="Downloads may not fit.")
    return Finding(name="disk", text=text)


def check_models(surroundings: Surroundings) -> Finding:
    from penstock.model.catalog import CATALOG
    from penstock.model.hub import local_folder
    from penstock.model.hub_cache import hub_access

    access = hub_access(data_dir=surroundings.data_dir)
    here = [entry.id for entry in CATALOG if local_folder(entry, access) is not None]
    if any(entry.builtin and entry.id in here for entry in CATALOG):
        return Finding(name="models", text=f"here: {', '.join(here)}")
    return Finding(
        name="models",
        text="The built-in model is missing.",
        state="problem",
        hint="Install Penstock again.",
    )


def check_port(surroundings: Surroundings) -> Finding:
    address = f"{surroundings.host}:{surroundings.port}"
    if is_port_free(surroundings.host, surroundings.port):
        return Finding(name="port", text=f"{address} is free")
    return Finding(
        name="port",
        text=f"{address} is in use.",
        state="note",
        hint="Stop what listens there, or choose another with --port.",
    )


def available_cores() -> int:
    """The cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_flags() -> frozenset[str]:
    """The processor's features by their Linux names; none where the system does not list them."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return frozenset()
    flags = (
        line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))
    )
    return frozenset(next(flags, "").split())


def free_memory() -> tuple[int, int]:
    """Bytes of memory that are free and that there are."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return total, total
    amounts = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines if ":" in line}
    return amounts.get("MemAvailable", total), total


def existing_parent(folder: Path) -> Path:
    """`folder`, or the nearest folder above it that exists."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def is_port_free(host: str, port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
