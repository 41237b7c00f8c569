"""Loading and unloading, round after round, with a real server: nothing is left behind."""

import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from penstock.engine.config import EngineConfig
from penstock.engine.engine import Engine
from penstock.engine.prepare import prepare
from penstock.errors import NotEnoughMemory
from penstock.model.loading import load_model
from penstock.ops.torch_ops import TorchOps
from penstock.serving.launching import ProcessLauncher
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions
from penstock.serving.spawn import WorkerChild
from penstock.types import GenerationRequest
from tests.model.folders import COMMIT, lay_out_as_cache, tiny_config, write_model
from tests.server_process import running_server
from tests.serving.measured import Held, held_by, own_memory

NUM_ROUNDS = int(os.environ.get("PENSTOCK_LOAD_ROUNDS", "3"))  # `make stress` has thirty
PENSTOCK = [sys.executable, "-c", "from penstock.cli.main import main; main()"]
MODEL = "someone/big"
MIB = 2**20


def post(url: str, **body: Any) -> dict[str, Any]:
    headers = {"Content-Type": "application/json", "Connection": "close"}
    request = urllib.request.Request(url, data=json.dumps(body).encode(), headers=headers)
    with urllib.request.urlopen(request, timeout=120) as answer:
        content: dict[str, Any] = json.load(answer)
        return content


@pytest.mark.timeout(600)
def test_after_rounds_of_loading_a_server_holds_what_it_held_before(tmp_path: Path) -> None:
    """Memory of the server and its workers together, their processes and their open files."""
    write_model(tmp_path / "source", tiny_config(n_embd=256, n_layer=12, n_head=8, n_positions=256))
    lay_out_as_cache(tmp_path / "source", tmp_path / "hub", MODEL)
    seen: list[tuple[Held, Held]] = []
    with running_server(
        PENSTOCK, "--no-browser", folder=tmp_path, environment={"HF_HOME": str(tmp_path)}
    ) as server:
        post(f"{server.url}/models/penstock-tiny/unload")
        before = settled(server.process.pid, lambda held: held.num_processes == 1)
        for _ in range(NUM_ROUNDS):
            post(f"{server.url}/models/{MODEL}/load")
            post(f"{server.url}/generate", model=MODEL, prompt="Once", max_new_tokens=20)
            during = held_by(server.process.pid)
            post(f"{server.url}/models/{MODEL}/unload")
            after = settled(server.process.pid, lambda held: held.num_files <= before.num_files)
            seen.append((during, after))

    print(f"before {before}, last round {seen[-1]}")  # the figures, for -s
    for during, after in seen:
        assert during.num_processes == 2
        assert during.resident_bytes > before.resident_bytes + 100 * MIB
        assert after.num_processes == 1
        assert after.num_files <= before.num_files
        assert after.resident_bytes < before.resident_bytes * 1.05


def settled(process_id: int, is_settled: Callable[[Held], bool]) -> Held:
    """What is held once the last connection is closed; that may come a moment after the answer."""
    deadline = time.monotonic() + 10
    while not is_settled(held := held_by(process_id)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return held


def test_thirty_engines_in_one_process_leave_neither_blocks_nor_memory_taken(
    tmp_path: Path,
) -> None:
    """As commands use the engine: without a process of its own."""
    write_model(tmp_path, tiny_config(n_embd=128, n_layer=4, n_positions=256))
    _round_in_process(tmp_path)
    before = own_memory()

    for _ in range(30):
        _round_in_process(tmp_path)

    assert own_memory() < before * 1.05


def _round_in_process(folder: Path) -> None:
    model = load_model(folder, model_id="m", ops=TorchOps())
    engine = Engine(model, EngineConfig(cache_bytes=4 * MIB))
    engine.add(prepare(_request(), model))
    num_outputs = 0
    while engine.has_work:
        num_outputs += len(engine.step())
    stats = engine.stats()
    assert num_outputs
    assert stats.num_free_blocks == stats.num_blocks > 0


def _request() -> GenerationRequest:
    return GenerationRequest(request_id="r", prompt="Once", model="m", max_new_tokens=30)


async def test_a_model_that_does_not_fit_is_refused_with_only_its_description_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that claim 43 GB: holes but for their headers. What read them would read for long."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    write_hollow(tmp_path / "hub", MODEL, num_layers=80)
    source = LocalModels([], LoadingOptions(num_threads=1, cache_bytes=MIB))
    lifecycle = Lifecycle(source, ProcessLauncher(source, spawn=_never), free=lambda: 3 * 10**9)
    before = bytes_read()

    with pytest.raises(NotEnoughMemory, match=r"someone/big needs 43\.2 GB of memory; 3\.0 GB"):
        await lifecycle.running(MODEL)

    assert bytes_read() - before < MIB
    await lifecycle.close()


def write_hollow(cache_dir: Path, hub_id: str, *, num_layers: int) -> None:
    """Lay out a model whose two files of weights have headers and, after them, only holes."""
    root = cache_dir / f"models--{hub_id.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    for part in (root / "refs", snapshot):
        part.mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    (snapshot / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (snapshot / "tokenizer.json").touch()
    weight_map: dict[str, str] = {}
    for first in (0, num_layers // 2):
        file = f"model-{first}.safetensors"
        names = [f"layer.{first + number}.weight" for number in range(num_layers // 2)]
        _write_holes(snapshot / file, names)
        weight_map |= dict.fromkeys(names, file)
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def _write_holes(path: Path, names: list[str], shape: tuple[int, int] = (8192, 16384)) -> None:
    """A safetensors file of fp32 matrices that takes next to no room on the disk."""
    size = 4 * shape[0] * shape[1]
    header = json.dumps(
        {
            name: {"dtype": "F32", "shape": shape, "data_offsets": [i * size, (i + 1) * size]}
            for i, name in enumerate(names)
        }
    ).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + len(names) * size)


def bytes_read() -> int:
    """How much this process has read so far, from whatever files."""
    counts = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(counts["rchar"])


def _never() -> WorkerChild:
    pytest.fail("a process was started for a model that does not fit")
