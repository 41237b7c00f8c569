"""All contenders by name. A further one is a module with a `Contender` and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders.interface import Contender, Dtype


def _penstock(dtype: Dtype) -> Callable[[Path], Contender]:
    def make(folder: Path) -> Contender:
        from benchmarks.contenders.penstock_engine import PenstockEngine

        return PenstockEngine(folder, dtype)

    return make


def _penstock_server(folder: Path) -> Contender:
    from benchmarks.contenders.penstock_server import PenstockServer

    return PenstockServer(folder)


def _transformers(dtype: Dtype) -> Callable[[Path], Contender]:
    def make(folder: Path) -> Contender:
        from benchmarks.contenders.transformers_generate import TransformersGenerate

        return TransformersGenerate(folder, dtype)

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How to make a contender, and whether streams may join while others run."""

    label: str
    short: str
    make: Callable[[Path], Contender]
    takes_arrivals: bool
    is_ours: bool


CONTENDERS: Mapping[str, Entry] = {
    "penstock-float32": Entry(
        label="Penstock, fp32",
        short="fp32",
        make=_penstock("float32"),
        takes_arrivals=True,
        is_ours=True,
    ),
    "penstock-bfloat16": Entry(
        label="Penstock, bf16",
        short="bf16",
        make=_penstock("bfloat16"),
        takes_arrivals=True,
        is_ours=True,
    ),
    "penstock-http": Entry(
        label="Penstock over HTTP, fp32",
        short="server",
        make=_penstock_server,
        takes_arrivals=True,
        is_ours=True,
    ),
    "transformers-float32": Entry(
        label="transformers `generate`, fp32",
        short="transformers fp32",
        make=_transformers("float32"),
        takes_arrivals=False,
        is_ours=False,
    ),
    "transformers-bfloat16": Entry(
        label="transformers `generate`, bf16",
        short="transformers bf16",
        make=_transformers("bfloat16"),
        takes_arrivals=False,
        is_ours=False,
    ),
}
