"""Finds the compiled kernels and declares their C interface. Knows nothing of tensors."""

import platform
from ctypes import CDLL, Structure, c_char_p, c_float, c_int32, c_int64, c_void_p
from dataclasses import dataclass
from pathlib import Path

from penstock.errors import ConfigError

VERSION = 6  # penstock_version() of the library this file was written for
# Instruction sets of one kind of processor, best first.
X86 = ("amx", "avx512_bf16", "avx512_vnni", "avx512", "avx2", "generic")
ARM = ("neon_dotprod", "neon", "generic")
ISAS = ARM if platform.machine().lower() in {"aarch64", "arm64"} else X86
LIBRARY_PATH = Path(__file__).parents[1] / "kernels" / "libpenstock_kernels.so"


class KernelsUnavailable(ConfigError):
    """The native kernels cannot be used here, for the reason given."""


class Batch(Structure):
    """`PenstockBatch` of penstock_kernels.h."""

    _fields_ = (
        ("num_tokens", c_int64),
        ("num_sequences", c_int64),
        ("max_blocks", c_int64),
        ("slots", c_void_p),
        ("query_starts", c_void_p),
        ("context_lengths", c_void_p),
        ("block_tables", c_void_p),
    )


class Cache(Structure):
    """`PenstockCache` of penstock_kernels.h."""

    _fields_ = (
        ("keys", c_void_p),
        ("values", c_void_p),
        ("element", c_int32),
        ("num_kv_heads", c_int32),
        ("head_size", c_int32),
        ("block_size", c_int32),
        ("num_blocks", c_int64),
        ("block_stride", c_int64),
        ("head_stride", c_int64),
        ("slot_stride", c_int64),
    )


SIGNATURES = {
    "penstock_version": (c_int32, ()),
    "penstock_find_isa": (c_void_p, (c_char_p,)),
    "penstock_isa_name": (c_char_p, (c_void_p,)),
    "penstock_set_num_threads": (None, (c_int32,)),
    "penstock_linear_create": (
        c_void_p,
        (c_void_p, c_void_p, c_int32, c_int64, c_int64, c_void_p),
    ),
    "penstock_linear_create_int8": (
        c_void_p,
        (c_void_p, c_void_p, c_void_p, c_int64, c_int64, c_void_p),
    ),
    "penstock_linear_create_int4": (
        c_void_p,
        (*(c_void_p,) * 5, c_int64, c_int64, c_void_p),
    ),
    "penstock_quantise_int8": (None, (c_void_p, c_void_p, c_int64, c_int64, c_void_p, c_void_p)),
    "penstock_quantise_int4": (None, (c_void_p, c_void_p, c_int64, c_int64, *(c_void_p,) * 4)),
    "penstock_linear_destroy": (None, (c_void_p,)),
    "penstock_linear_num_bytes": (c_int64, (c_void_p,)),
    "penstock_linear": (
        None,
        (c_void_p, c_void_p, c_int64, c_int64, c_int32, c_void_p, c_int64, c_void_p),
    ),
    "penstock_layer_norm": (
        None,
        (c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p, c_void_p, c_float, c_void_p),
    ),
    "penstock_rms_norm": (
        None,
        (c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p, c_float, c_void_p),
    ),
    "penstock_paged_attention": (
        c_int32,
        (
            c_void_p,
            *(c_void_p, c_int64, c_int64) * 3,
            *(c_int32, c_void_p, c_void_p, c_int64, c_void_p),
        ),
    ),
    "penstock_choose": (
        None,
        (c_void_p, c_void_p, c_int64, c_int64, c_char_p, c_int64, *(c_void_p,) * 8),
    ),
    "penstock_argmax": (None, (c_void_p, c_void_p, c_int64, c_int64, c_int64, c_void_p)),
}


@dataclass(frozen=True, slots=True)
class Kernels:
    """The loaded library and the instruction set chosen in it."""

    library: CDLL
    isa: int
    isa_name: str


def load_kernels(isa: str = "best", path: Path = LIBRARY_PATH) -> Kernels:
    """The kernels for one of `ISAS`, or the best this CPU has."""
    library = _open(path)
    found = library.penstock_find_isa(isa.encode())
    if found is None:
        raise KernelsUnavailable(
            f"The kernels have no instruction set {isa!r} that this CPU can run.",
            'Ask for "best".',
        )
    return Kernels(library, found, library.penstock_isa_name(found).decode())


def _open(path: Path) -> CDLL:
    hint = "Install a C++17 compiler (g++ or clang++) and install Penstock again."
    if not path.is_file():
        raise KernelsUnavailable("The native kernels were not built.", hint)
    try:
        library = CDLL(str(path))
        _declare(library)
    except (OSError, AttributeError) as error:
        raise KernelsUnavailable(f"The native kernels do not load: {error}.", hint) from error
    if library.penstock_version() != VERSION:
        raise KernelsUnavailable("The native kernels belong to another version.", hint)
    return library


def _declare(library: CDLL) -> None:
    for name, (result, arguments) in SIGNATURES.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
