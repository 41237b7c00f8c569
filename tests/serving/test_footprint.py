"""What a model is said to need before anything of it is read: counted by hand, and measured."""

import json
from pathlib import Path

import pytest
import torch

from penstock.model.checkpoint import write_checkpoint
from penstock.model.dtypes import Dtype
from penstock.model.loading import load_model
from penstock.ops.choose import choose_ops
from penstock.ops.torch_ops import TorchOps
from penstock.serving.footprint import PROCESS_BYTES, footprint
from penstock.serving.launching import ProcessLauncher
from penstock.serving.lifecycle import Lifecycle
from penstock.serving.local_models import LocalModels
from penstock.serving.memory import memory_of_process
from penstock.serving.models import DraftPlan, LoadingOptions, LoadPlan
from penstock.serving.process_worker import ProcessWorker
from penstock.types import GenerationRequest, SequenceFinished
from tests.model.folders import (
    lay_out_as_cache,
    shard,
    tiny_config,
    write_bare_checkpoint,
    write_model,
)
from tests.model.small_families import write_families
from tests.serving.measured import own_memory

MIB = 2**20
NUM_ROUNDS = 3  # each starts two processes, which takes its time
OPTIONS = LoadingOptions(num_threads=1, cache_bytes=64 * MIB)


def needed(folder: Path, **changes: object) -> int:
    """What a worker needs for the folder, beside itself."""
    options = LoadingOptions(**{"num_threads": 1, **changes})  # type: ignore[arg-type]
    return footprint(LoadPlan(model_id="m", folder=folder, options=options)) - PROCESS_BYTES


def kept(folder: Path, dtype: Dtype) -> int:
    """What the model says that its weights take, once it is loaded."""
    return load_model(folder, model_id="m", ops=TorchOps(), dtype=dtype).num_bytes


def test_the_weights_count_as_they_are_kept_and_the_cache_as_one_full_context(
    tmp_path: Path,
) -> None:
    write_model(tmp_path, tiny_config())  # 2 layers, 8 wide, 16 positions
    cache = 2 * 2 * 16 * 8 * 4  # keys and values, layers, positions, width, bytes
    weights = kept(tmp_path, "float32")

    assert needed(tmp_path) == weights + cache
    assert needed(tmp_path, dtype="bfloat16") == pytest.approx(
        kept(tmp_path, "bfloat16") + cache, rel=0.1
    )
    assert needed(tmp_path, cache_bytes=1000) == weights + 1000
    shard(tmp_path)
    assert needed(tmp_path) == weights + cache


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int8", "int4"])
def test_what_is_foretold_of_the_weights_is_what_they_take(
    tmp_path: Path, dtype: Dtype, is_tied: bool
) -> None:
    config = tiny_config(n_embd=128, n_inner=300, n_layer=4, tie_word_embeddings=is_tied)
    write_model(tmp_path, config)
    cache = 2 * 4 * 16 * 128 * 4

    assert needed(tmp_path, dtype=dtype) - cache == pytest.approx(kept(tmp_path, dtype), rel=0.05)


def test_masks_in_old_files_count_for_nothing(tmp_path: Path) -> None:
    write_bare_checkpoint(tmp_path, tiny_config(), torch.float32)

    assert needed(tmp_path) == kept(tmp_path, "float32") + 2 * 2 * 16 * 8 * 4


@pytest.mark.parametrize(
    ("changes", "cache"),
    [
        ({}, 2 * 3 * 100 * 64 * 4),
        ({"num_key_value_heads": 2}, 2 * 3 * 100 * 16 * 4),
        ({"num_key_value_heads": 2, "head_dim": 32}, 2 * 3 * 100 * 64 * 4),
        ({"hidden_size": None}, 0),
        ({"num_attention_heads": 0}, 0),
    ],
)
def test_shared_heads_and_heads_of_their_own_width_count_as_what_they_are(
    tmp_path: Path, changes: dict[str, object], cache: int
) -> None:
    sizes = {
        "model_type": "llama",
        "num_hidden_layers": 3,
        "hidden_size": 64,
        "num_attention_heads": 8,
        "max_position_embeddings": 100,
    }
    write_checkpoint(tmp_path, {}, {})
    (tmp_path / "config.json").write_text(json.dumps(sizes | changes))

    assert needed(tmp_path) == cache


def test_a_draft_counts_beside_the_model_it_drafts_for(tmp_path: Path) -> None:
    large, small = tmp_path / "large", tmp_path / "small"
    write_model(large, tiny_config())
    write_model(small, tiny_config(n_layer=1))
    options = LoadingOptions(num_threads=1)
    plan = LoadPlan(model_id="m", folder=large, options=options, draft=DraftPlan("small", small))

    assert footprint(plan) == PROCESS_BYTES + needed(large) + needed(small)


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_real_workers_hold_no_more_than_was_said_and_give_all_of_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two models of the hub's layout at once, round after round."""
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    names = ("someone/one", "someone/other")
    write_model(tmp_path / "source", tiny_config(n_positions=64))
    for name in names:
        lay_out_as_cache(tmp_path / "source", tmp_path / "hub", name)
    source = LocalModels([], OPTIONS)
    lifecycle = Lifecycle(source, ProcessLauncher(source))
    before = 0

    for number in range(NUM_ROUNDS):
        processes = [await _write_with(lifecycle, name) for name in names]
        assert lifecycle.loaded == names
        for name, process_id in zip(names, processes, strict=True):
            assert 0 < memory_of_process(process_id) <= source.needed_bytes(name)
        for name in names:
            await lifecycle.unload(name)
        left = [number for number in processes if Path(f"/proc/{number}").exists()]
        after = own_memory()
        before = before or after
        assert left == []
        assert after < before * 1.05, f"round {number}"
    await lifecycle.close()


async def _write_with(lifecycle: Lifecycle, name: str) -> int:
    """Have the model write a text; the id of its process."""
    running = await lifecycle.running(name)
    request = GenerationRequest(request_id=name, prompt="Once", model=name, max_new_tokens=8)
    stream = await running.client.submit(request)
    assert [o for o in [o async for o in stream] if isinstance(o, SequenceFinished)]
    stream.close()
    assert isinstance(running.client, ProcessWorker)
    return running.client.process_id


def test_no_file_of_weights_stays_mapped_once_a_model_is_loaded(tmp_path: Path) -> None:
    """One small tensor that is still a part of the file would keep all of it in memory."""
    chosen = choose_ops(num_threads=1)
    if chosen.name == "torch":
        pytest.skip(f"The reference computes with the mapped file itself. {chosen.reason}")
    for folder in write_families(tmp_path):
        loaded = load_model(folder, model_id="m", ops=chosen.ops)

        assert str(folder) not in Path("/proc/self/maps").read_text()
        del loaded
