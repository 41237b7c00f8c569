"""From a folder to a model: every layout of the same weights loads, what does not fit is named."""

import json
from pathlib import Path

import pytest
import torch

from penstock.errors import ModelUnavailable, PenstockError, UnsupportedModel
from penstock.model.catalog import EMBEDDING_FAMILIES, NATIVE_FAMILIES, find
from penstock.model.families import FAMILIES
from penstock.model.hub import builtin_folder, local_folder
from penstock.model.hub_cache import HubAccess
from penstock.model.loading import LoadedModel, load_model
from penstock.ops.torch_ops import TorchOps
from tests.conftest import missing
from tests.model.folders import (
    lay_out_as_cache,
    shard,
    tiny_config,
    write_bare_checkpoint,
    write_model,
)
from tests.model.forward import all_logits


def load(folder: Path) -> LoadedModel:
    """Load a folder as fp32."""
    return load_model(folder, model_id="tiny", ops=TorchOps(), dtype="float32")


@pytest.mark.parametrize(
    ("model_id", "hub_id", "config"),
    [
        ("gpt2", "openai-community/gpt2", {"n_layer": 3}),
        ("gpt2-medium", "openai-community/gpt2-medium", {"n_layer": 4, "n_embd": 16}),
        ("distilgpt2", "distilbert/distilgpt2", {"n_layer": 2}),
    ],
)
def test_a_model_in_the_hubs_cache_loads_by_its_id(
    model_id: str, hub_id: str, config: dict[str, int], shared_data: Path, tmp_path: Path
) -> None:
    whole = tiny_config(vocab_size=50_257, eos_token_id=50_256, bos_token_id=50_256, **config)
    reference = write_model(tmp_path / "source", whole, shared_data / "tokenizers" / "gpt2")
    snapshot = lay_out_as_cache(tmp_path / "source", tmp_path / "cache", hub_id)

    found = local_folder(find(model_id), HubAccess(cache_dir=tmp_path / "cache", models_dir=None))
    assert found == snapshot
    loaded = load_model(found, model_id=model_id, ops=TorchOps(), dtype="float32")

    assert loaded.model_id == model_id
    assert loaded.num_parameters == reference.num_parameters()
    assert (loaded.context_length, loaded.vocab_size) == (16, 50_257)
    assert loaded.tokenizer.encode("Hello world") == [15496, 995]
    assert loaded.tokenizer.eos_token_ids == {50_256}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_files_without_prefix_and_with_masks_hold_the_same_model(
    tmp_path: Path, dtype: torch.dtype
) -> None:
    reference = write_bare_checkpoint(tmp_path, tiny_config(), dtype)

    loaded = load(tmp_path)

    assert loaded.num_parameters == reference.num_parameters()


def test_sharded_weights_load(tmp_path: Path) -> None:
    reference = write_model(tmp_path, tiny_config())
    shard(tmp_path)

    assert load(tmp_path).num_parameters == reference.num_parameters()


def test_bf16_takes_less_memory_than_fp32(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_config(n_embd=64))

    full, half = (
        load_model(tmp_path, model_id="tiny", ops=TorchOps(), dtype=dtype)
        for dtype in ("float32", "bfloat16")
    )

    assert half.num_bytes < full.num_bytes * 0.6
    assert (full.dtype, half.dtype) == ("float32", "bfloat16")


def test_quantised_weights_take_a_fraction_and_write_nearly_the_same(tmp_path: Path) -> None:
    config = tiny_config(n_embd=64, vocab_size=400)
    write_model(tmp_path, config)
    token_ids = [3, 1, 4, 1, 5, 9, 2, 6]

    full, eight, four = (
        load_model(tmp_path, model_id="tiny", ops=TorchOps(), dtype=dtype)
        for dtype in ("float32", "int8", "int4")
    )

    exact = all_logits(full.family, token_ids)
    spread = exact.std()
    assert (all_logits(eight.family, token_ids) - exact).std() < 0.02 * spread
    assert (all_logits(four.family, token_ids) - exact).std() < 0.2 * spread
    looked_up = 4 * 64 * (400 + 16)  # the embeddings stay as they are
    assert eight.num_bytes - looked_up < 0.3 * (full.num_bytes - looked_up)
    assert four.num_bytes < eight.num_bytes
    assert (eight.dtype, four.dtype) == ("int8", "int4")


def test_each_stage_is_told_as_it_begins(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_config())
    stages: list[str] = []

    loaded = load_model(
        tmp_path, model_id="tiny", ops=TorchOps(), dtype="float32", progress=stages.append
    )

    assert stages == ["tokenizer", "weights", "layout"]
    assert loaded.load_seconds > 0


def test_spare_rows_of_the_model_are_fine(tmp_path: Path) -> None:
    write_model(tmp_path, tiny_config(vocab_size=512))

    loaded = load(tmp_path)

    assert loaded.vocab_size == 512
    assert loaded.tokenizer.vocab_size <= 400


def test_a_tokenizer_with_more_tokens_than_the_model_is_refused_with_both_numbers(
    tmp_path: Path,
) -> None:
    write_model(tmp_path, tiny_config(vocab_size=100))

    with pytest.raises(UnsupportedModel, match=r"The tokenizer has \d+ tokens.*model has 100"):
        load(tmp_path)


def change_config(folder: Path, changes: dict[str, object]) -> None:
    """Change `config.json`; a value of None removes the key."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_embd": 16}, r"wte\.weight has the shape \[400, 8\]; it should be \[400, 16\]"),
        ({"n_layer": 3}, r"h\.2\.ln_1\.weight is missing"),
        ({"n_layer": 1}, r"12 tensors that this architecture lacks, such as h\.1\."),
        ({"n_positions": 32}, r"wpe\.weight has the shape"),
        ({"vocab_size": 401}, r"wte\.weight has the shape"),
        ({"n_inner": 9}, r"mlp\.c_fc\.weight has the shape"),
        ({"n_head": 3}, "cannot be divided"),
        ({"n_head": None}, "n_head=None"),
        ({"n_layer": "2"}, "n_layer='2'"),
        ({"n_layer": 10**9}, "n_layer=1000000000"),
        ({"n_layer": 10**6}, r"h\.2\.\S+ is missing"),
        ({"n_embd": 0}, "n_embd=0"),
        ({"n_embd": True}, "n_embd=True"),
    ],
)
def test_a_configuration_of_another_model_is_an_error_that_names_the_difference(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    write_model(tmp_path, tiny_config())
    change_config(tmp_path, changes)

    with pytest.raises(UnsupportedModel, match=message):
        load(tmp_path)


@pytest.mark.parametrize("model_type", ["vit", "no-such-thing"])
def test_a_type_that_nobody_has_is_told_with_those_that_are_there(
    tmp_path: Path, model_type: str
) -> None:
    write_model(tmp_path, tiny_config())
    change_config(tmp_path, {"model_type": model_type})

    with pytest.raises(UnsupportedModel, match=rf"{model_type}.*Choose gpt2"):
        load(tmp_path)


def test_the_catalog_knows_which_families_are_ours() -> None:
    assert frozenset(FAMILIES) == NATIVE_FAMILIES


def test_the_catalog_knows_which_families_tell_their_hidden_states() -> None:
    telling = {name for name, kind in FAMILIES.items() if not hasattr(kind, "encode")}

    assert all(hasattr(FAMILIES[name], "hidden") for name in telling)
    assert telling == EMBEDDING_FAMILIES


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    write_model(tmp_path, tiny_config())
    (tmp_path / name).unlink()

    with pytest.raises(ModelUnavailable):
        load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("kept", [0, 1, 50, 300])
def test_a_truncated_file_is_an_error_and_no_crash(tmp_path: Path, name: str, kept: int) -> None:
    write_model(tmp_path, tiny_config())
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:kept])

    with pytest.raises(PenstockError):
        load(tmp_path)


def test_the_built_in_model_is_what_the_catalog_says() -> None:
    entry, folder = find("penstock-tiny"), builtin_folder()
    if not (folder / "model.safetensors").is_file():
        missing("builtin", "The built-in model is not there yet.")

    loaded = load(folder)

    assert entry.num_parameters == loaded.num_parameters
    assert entry.context_length == loaded.context_length
    assert entry.disk_bytes == pytest.approx(
        (folder / "model.safetensors").stat().st_size, rel=0.01
    )
