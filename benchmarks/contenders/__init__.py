"""All contenders by name. A further one is a module with a `Contender` and a line here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.contenders.interface import Contender, Width
from benchmarks.peers import Peer


def _penstock(width: Width) -> Callable[[Path], Contender]:
    def make(folder: Path) -> Contender:
        from benchmarks.contenders.penstock_engine import PenstockEngine

        return PenstockEngine(folder, width)

    return make


def _penstock_server(width: Width) -> Callable[[Path], Contender]:
    def make(folder: Path) -> Contender:
        from benchmarks.contenders.penstock_server import PenstockServer

        return PenstockServer(folder, width)

    return make


def _transformers(width: Width) -> Callable[[Path], Contender]:
    def make(folder: Path) -> Contender:
        from benchmarks.contenders.transformers_generate import TransformersGenerate

        return TransformersGenerate(folder, width)

    return make


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """How to make a contender, and whether streams may join while others run."""

    label: str
    short: str
    width: Width
    make: Callable[[Path], Contender]
    takes_arrivals: bool = False
    is_ours: bool = False
    is_server: bool = False
    peer: Peer | None = None  # another's engine, in an environment of its own


SHORT: Mapping[Width, str] = {
    "float32": "fp32",
    "bfloat16": "bf16",
    "int8": "int8",
    "int4": "int4",
}


def _ours(width: Width) -> Entry:
    return Entry(
        label=f"Penstock, {SHORT[width]}",
        short=SHORT[width],
        width=width,
        make=_penstock(width),
        takes_arrivals=True,
        is_ours=True,
    )


def _server(width: Width) -> Entry:
    return Entry(
        label=f"Penstock over HTTP, {SHORT[width]}",
        short=f"server {SHORT[width]}",
        width=width,
        make=_penstock_server(width),
        takes_arrivals=True,
        is_ours=True,
        is_server=True,
    )


def _reference(width: Width) -> Entry:
    return Entry(
        label=f"transformers `generate`, {SHORT[width]}",
        short=f"transformers {SHORT[width]}",
        width=width,
        make=_transformers(width),
    )


def _peer(label: str, peer: Peer) -> Entry:
    return Entry(
        label=f"{label}, {SHORT[peer.width]}",
        short=f"{label} {SHORT[peer.width]}",
        width=peer.width,
        make=peer.make,
        peer=peer,
    )


CONTENDERS: Mapping[str, Entry] = {
    "penstock-float32": _ours("float32"),
    "penstock-bfloat16": _ours("bfloat16"),
    "penstock-int8": _ours("int8"),
    "penstock-int4": _ours("int4"),
    "penstock-http": _server("float32"),
    "penstock-http-bfloat16": _server("bfloat16"),
    "penstock-http-int8": _server("int8"),
    "penstock-http-int4": _server("int4"),
    "transformers-float32": _reference("float32"),
    "transformers-bfloat16": _reference("bfloat16"),
    "openvino-float32": _peer("OpenVINO GenAI", Peer("openvino", "float32")),
    "openvino-bfloat16": _peer("OpenVINO GenAI", Peer("openvino", "bfloat16")),
    "openvino-int8": _peer("OpenVINO GenAI", Peer("openvino", "int8")),
    "openvino-int4": _peer("OpenVINO GenAI", Peer("openvino", "int4")),
    "ctranslate2-float32": _peer("CTranslate2", Peer("ctranslate2", "float32")),
    "ctranslate2-int8": _peer("CTranslate2", Peer("ctranslate2", "int8")),
    "llama-bfloat16": _peer("llama.cpp", Peer("llama", "bfloat16")),
    "llama-int8": _peer("llama.cpp", Peer("llama", "int8")),
    "llama-int4": _peer("llama.cpp", Peer("llama", "int4")),
}
