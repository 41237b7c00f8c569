"""Weights in and out: what is written comes back, what is damaged is an error and never a crash."""

import json
import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from penstock.errors import ModelUnavailable, PenstockError, UnsupportedModel
from penstock.model.checkpoint import read_weights, write_checkpoint
from penstock.model.families.weights import Weights
from penstock.model.folder import INDEX_FILE, WEIGHTS_FILE, check_files, read_config
from penstock.ops.torch_ops import TorchOps

CONFIG = {"model_type": "gpt2", "n_embd": 3}


def tensors() -> dict[str, Tensor]:
    """Three small tensors of two types."""
    return {
        "a.weight": torch.arange(6, dtype=torch.float32).reshape(2, 3),
        "a.bias": torch.tensor([1.5, -2.0, 0.25], dtype=torch.bfloat16),
        "scale": torch.tensor(7.0),
    }


def take_all(read: Mapping[str, Tensor]) -> None:
    """Ask for the tensors that belong here, as a family does."""
    weights = Weights(read, TorchOps(), torch.float32, prefix="")
    for name, tensor in tensors().items():
        weights.tensor(name, *tensor.shape)
    weights.refuse_leftovers()


def same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether both hold the same tensors under the same names."""
    return first.keys() == second.keys() and all(
        torch.equal(first[name], second[name]) and first[name].dtype == second[name].dtype
        for name in first
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole checkpoint."""
    write_checkpoint(tmp_path / "model", tensors(), CONFIG)
    return tmp_path / "model"


def header_length(content: bytes) -> int:
    """The length of the header, without the eight bytes that state it."""
    length: int = struct.unpack("<Q", content[:8])[0]
    return length


def test_what_is_written_comes_back(folder: Path) -> None:
    assert same(read_weights(folder), tensors())
    assert read_config(folder) == CONFIG
    assert {path.name for path in folder.iterdir()} == {"config.json", "model.safetensors"}
    modes = {path.stat().st_mode for path in folder.iterdir()}
    assert len(modes) == 1  # whoever may read the one may read the other


@pytest.mark.parametrize("mask", [0x01, 0x02, 0x0F, 0x20, 0x80, 0xFF])
def test_no_flipped_byte_of_a_header_crashes_or_changes_a_weight(folder: Path, mask: int) -> None:
    path = folder / WEIGHTS_FILE
    content = path.read_bytes()
    refused = 0

    for position in range(8 + header_length(content)):
        damaged = bytearray(content)
        damaged[position] ^= mask
        path.write_bytes(damaged)
        try:
            read = read_weights(folder)
            take_all(read)
        except PenstockError:
            refused += 1
        else:  # a space, or a remark that nobody reads
            assert same(read, tensors())

    assert refused > header_length(content) * 0.7


def test_every_truncation_is_an_error(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    content = path.read_bytes()

    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(UnsupportedModel, match="not a whole safetensors file"):
            read_weights(folder)


def test_bytes_after_the_last_tensor_are_an_error(folder: Path) -> None:
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes() + b"\0")

    with pytest.raises(UnsupportedModel, match="its tensors need 34 bytes but it has 35"):
        read_weights(folder)


F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ([], "not a JSON object"),
        ({"a": 1}, "malformed"),
        ({"a": {**F32, "shape": [-2]}}, "malformed"),
        ({"a": {**F32, "shape": [True, 2]}}, "malformed"),
        ({"a": {**F32, "data_offsets": [0, 8, 9]}}, "malformed"),
        ({"a": {**F32, "shape": [2**62, 2**62]}}, "has the shape"),
        ({"a": {**F32, "shape": [4]}}, "has the shape"),
        ({"a": {**F32, "data_offsets": [8, 0]}}, "has the shape"),
        ({"a": {**F32, "data_offsets": [2**40, 2**40 + 8]}}, "starts at byte 1099511627776"),
        ({"a": F32, "b": F32}, "starts at byte 0 instead of 8"),
        ({"a": {**F32, "dtype": "F8_E4M3", "shape": [8]}}, "F8_E4M3"),
        ({"a": {**F32, "dtype": "OBJECT"}}, "OBJECT"),
    ],
)
def test_a_header_that_lies_is_refused_before_anything_is_mapped(
    folder: Path, header: object, reason: str
) -> None:
    text = json.dumps(header).encode()
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))

    with pytest.raises(UnsupportedModel, match=reason):
        read_weights(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b"\xff\xfe", b"nul"])
def test_a_header_or_configuration_that_is_not_json_is_an_error(folder: Path, text: bytes) -> None:
    (folder / WEIGHTS_FILE).write_bytes(struct.pack("<Q", len(text)) + text + bytes(8))
    (folder / "config.json").write_bytes(text)

    with pytest.raises(UnsupportedModel):
        read_weights(folder)
    with pytest.raises(UnsupportedModel):
        read_config(folder)


def write_shards(folder: Path, weight_map: dict[str, str] | None = None) -> None:
    """The same tensors in two files and an index."""
    (folder / WEIGHTS_FILE).unlink()
    first = {"a.weight": tensors()["a.weight"]}
    rest = {name: tensor for name, tensor in tensors().items() if name not in first}
    names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    save_file(first, folder / names[0])
    save_file(rest, folder / names[1])
    default = dict.fromkeys(first, names[0]) | dict.fromkeys(rest, names[1])
    index = {"metadata": {}, "weight_map": default if weight_map is None else weight_map}
    (folder / INDEX_FILE).write_text(json.dumps(index))


def test_sharded_weights_are_the_same_weights(folder: Path) -> None:
    write_shards(folder)

    assert same(read_weights(folder), tensors())


def test_a_missing_shard_is_named(folder: Path) -> None:
    write_shards(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()

    with pytest.raises(ModelUnavailable, match="model-00002-of-00002"):
        read_weights(folder)
    with pytest.raises(ModelUnavailable, match=r"lacks .*model-00002-of-00002"):
        check_files(folder)


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        ({}, "no weight_map"),
        ({"a.weight": "model-00001-of-00002.safetensors", "b": "model-00001-of-00002.safetensors"},
         "disagree about 'b'"),
        ({"a.weight": "../model.safetensors"}, "reach outside"),
        ({"a.weight": "/etc/passwd"}, "reach outside"),
        ({"a.weight": "..%2fmodel.safetensors"}, "reach outside"),
        ({"a.weight": "model.bin"}, "reach outside"),
        ({"a.weight": 3}, "reach outside"),
    ],
)  # fmt: skip
def test_an_index_that_lies_is_refused(
    folder: Path, weight_map: dict[str, str], message: str
) -> None:
    write_shards(folder, weight_map)

    with pytest.raises(UnsupportedModel, match=message):
        read_weights(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.ckpt"])
def test_a_pickle_is_refused_with_the_reason_and_what_to_do(folder: Path, name: str) -> None:
    (folder / WEIGHTS_FILE).rename(folder / name)

    with pytest.raises(UnsupportedModel, match=rf"{name}.*can run any code.*safetensors"):
        read_weights(folder)


def test_a_folder_without_weights_is_an_error(folder: Path) -> None:
    (folder / WEIGHTS_FILE).unlink()

    with pytest.raises(ModelUnavailable, match=r"no model\.safetensors"):
        read_weights(folder)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model_type": "gpt2", "auto_map": {"AutoModel": "x.Y"}}, "never runs such code"),
        ({"model_type": "gpt2", "quantization_config": {"bits": 4}}, "quantised"),
        ({}, "does not say its model_type"),
        ({"model_type": 3}, "does not say its model_type"),
        ([], "a JSON list where an object belongs"),
    ],
)
def test_a_configuration_that_cannot_be_honoured_is_refused(
    folder: Path, config: object, message: str
) -> None:
    (folder / "config.json").write_text(json.dumps(config))

    with pytest.raises(UnsupportedModel, match=message):
        read_config(folder)


def test_a_path_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="not a folder"):
        read_config(tmp_path / "nothing")


@pytest.mark.parametrize("failing_call", range(4))
def test_a_disk_that_fails_at_any_moment_leaves_a_whole_checkpoint(
    folder: Path, failing_call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = iter(range(100))
    flush = os.fsync

    def fail_once(descriptor: int) -> None:
        if next(calls) == failing_call:
            raise OSError(28, "No space left on device")
        flush(descriptor)

    new = {name: tensor + 1 for name, tensor in tensors().items()}
    monkeypatch.setattr(os, "fsync", fail_once)
    failed = failing_call < 3  # two files and the folder
    if failed:
        with pytest.raises(OSError, match="No space left"):
            write_checkpoint(folder, new, CONFIG | {"step": 2})
    else:
        write_checkpoint(folder, new, CONFIG | {"step": 2})

    replaced = failing_call >= 2
    assert same(read_weights(folder), new if replaced else tensors())
    assert read_config(folder).get("step") == (2 if replaced else None)
    assert len(list(folder.iterdir())) == 2  # nothing half-written stays
