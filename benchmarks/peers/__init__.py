"""Other people's engines: what each of them is, and whether it can be had here.

They live in two environments of their own, filled by `make bench-peers`: one runs them, one turns a
model folder into their formats. Neither knows ours.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # contenders are made of peers, so not the other way at run time
    from benchmarks.contenders.interface import Contender, Width

PeerName = Literal["openvino", "ctranslate2", "llama"]

ROOT = Path(__file__).parents[2]
RUNS = ROOT / "build" / "peers" / "bin" / "python"
CONVERTS = ROOT / "build" / "peers-convert" / "bin" / "python"
CONVERTED = ROOT / "build" / "peer-models"  # random weights are the same in every run
MODULES: Mapping[PeerName, str] = {
    "openvino": "openvino_genai",
    "ctranslate2": "ctranslate2",
    "llama": "llama_cpp",
}


@dataclass(frozen=True, slots=True)
class Peer:
    """One engine with its weights in one width."""

    name: PeerName
    width: Width

    def make(self, folder: Path) -> Contender:
        """The contender, in the peers' own environment. `folder` is what `convert` has written."""
        match self.name:
            case "openvino":
                from benchmarks.peers.openvino_batching import OpenVinoBatching

                return OpenVinoBatching(folder, self.width)
            case "ctranslate2":
                from benchmarks.peers.ctranslate2_generator import Ctranslate2Generator

                return Ctranslate2Generator(folder, self.width)
            case "llama":
                from benchmarks.peers.llama_decoding import LlamaDecoding

                return LlamaDecoding(folder)

    def converted(self, folder: Path, model: str) -> Path:
        """The folder with the model in this peer's format, written when it is not there yet."""
        target = CONVERTED / model / f"{self.name}-{self.width}"
        if not target.exists():
            self._convert(folder, target)
        return target

    def _convert(self, folder: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        module = f"benchmarks.peers.{self.name}_convert"
        done = subprocess.run(  # noqa: S603  # our own module
            [CONVERTS, "-m", module, str(folder), str(target), self.width],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            shutil.rmtree(target, ignore_errors=True)
            raise PeerFailed(f"{self.name} could not take the model over:\n{done.stderr[-2000:]}")


class PeerFailed(Exception):
    """A peer could not take the model over."""


def installed() -> frozenset[PeerName]:
    """The peers that `make bench-peers` could install."""
    if not (RUNS.exists() and CONVERTS.exists()):
        return frozenset()
    found = subprocess.run(  # noqa: S603  # its own interpreter
        [RUNS, "-c", FIND, *MODULES.values()], capture_output=True, text=True, check=True
    ).stdout.split()
    return frozenset(name for name, module in MODULES.items() if module in found)


FIND = (
    "import sys; from importlib.util import find_spec; "
    "print(*[name for name in sys.argv[1:] if find_spec(name)])"
)
