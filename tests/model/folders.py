"""Model folders for tests: tiny random GPT-2 models, also laid out as the hub's cache lays them."""

import hashlib
import json
import shutil
from pathlib import Path

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from penstock.model.checkpoint import write_checkpoint
from tests.text.learnt import learn_byte_level

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def tiny_config(**changes: object) -> GPT2Config:
    """A GPT-2 of the real configuration class, in miniature."""
    small = {"n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 16, "vocab_size": 400}
    return GPT2Config(**(small | {"bos_token_id": 0, "eos_token_id": 0} | changes))


def random_model(config: GPT2Config) -> GPT2LMHeadModel:
    """The model with random weights, the same every time."""
    torch.manual_seed(0)
    return GPT2LMHeadModel(config).eval()


def write_model(folder: Path, config: GPT2Config, tokenizer: Path | None = None) -> GPT2LMHeadModel:
    """Write a model folder: with the files of `tokenizer`, or with one learnt on the spot."""
    model = random_model(config)
    model.save_pretrained(folder)
    if tokenizer is None:
        learn_byte_level().save(str(folder / "tokenizer.json"))
    else:
        for name in ("vocab.json", "merges.txt"):
            shutil.copyfile(tokenizer / name, folder / name)
    return model


def write_bare_checkpoint(folder: Path, config: GPT2Config, dtype: torch.dtype) -> GPT2LMHeadModel:
    """Write the weights as OpenAI's first files have them: without prefix, with the masks."""
    model = write_model(folder, config)
    for path in folder.glob("model*.safetensors"):
        path.unlink()
    tensors = {
        name.removeprefix("transformer."): tensor.to(dtype)
        for name, tensor in model.state_dict().items()
        if name != "lm_head.weight"
    }
    mask = torch.ones(1, 1, 16, 16, dtype=torch.uint8).tril()
    masks = {f"h.{layer}.attn.bias": mask.clone() for layer in range(config.n_layer)}
    write_checkpoint(folder, tensors | masks, config.to_dict())
    return model


def lay_out_as_cache(folder: Path, cache_dir: Path, hub_id: str, revision: str = "main") -> Path:
    """Put a folder's files where the hub's libraries put them; return the snapshot."""
    root = cache_dir / f"models--{hub_id.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    for part in (root / "blobs", root / "refs", snapshot):
        part.mkdir(parents=True)
    for file in folder.iterdir():
        digest = hashlib.sha256(file.read_bytes()).hexdigest()
        shutil.copyfile(file, root / "blobs" / digest)
        (snapshot / file.name).symlink_to(Path("..", "..", "blobs", digest))
    (root / "refs" / revision).write_text(COMMIT)
    return snapshot


def shard(folder: Path) -> None:
    """Turn a folder's one file of weights into two and an index."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {}
    for number, names in enumerate((list(tensors)[::2], list(tensors)[1::2]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in names}, folder / file)
        weight_map |= dict.fromkeys(names, file)
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
