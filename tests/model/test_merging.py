"""A merged checkpoint computes what base and adapter compute together."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from penstock.errors import InvalidParameter, UnsupportedAdapter
from penstock.model.adapter_folder import AdapterFolders
from penstock.model.loading import AdapterPlaces, load_model
from penstock.model.merging import merge_adapter
from penstock.ops.torch_ops import TorchOps
from tests.model.folders import tiny_config, write_bare_checkpoint, write_model
from tests.model.forward import all_logits
from tests.model.lora_folders import write_lora
from tests.text.learnt import learn_byte_level

TOKEN_IDS = [5, 3, 60, 7, 7, 12, 30, 1]


def write_base(folder: Path, kind: str) -> torch.nn.Module:
    if kind == "gpt2":
        return write_model(folder, tiny_config(n_embd=32))
    if kind == "gpt2-bare-bf16":
        return write_bare_checkpoint(folder, tiny_config(n_embd=32), torch.bfloat16)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 40, "num_attention_heads": 4}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=400, num_hidden_layers=2, **sizes)).eval()
    model.save_pretrained(folder)
    learn_byte_level().save(str(folder / "tokenizer.json"))
    return model


@pytest.mark.parametrize("kind", ["gpt2", "gpt2-bare-bf16", "llama"])
def test_its_logits_are_those_of_base_and_adapter(tmp_path: Path, kind: str) -> None:
    model = write_base(tmp_path / "base", kind)
    targets = ("q_proj", "down_proj") if kind == "llama" else ("c_attn", "c_proj", "c_fc")
    tensors = write_lora(tmp_path / "style", model, targets)
    folders = AdapterFolders(named=(tmp_path / "style",))
    base = load_model(
        tmp_path / "base",
        model_id="base",
        ops=TorchOps(),
        adapters=AdapterPlaces(folders=folders),
    )
    assert base.adapters.ops is not None
    additions = base.adapters.get("style").additions

    num_matrices = merge_adapter(tmp_path / "base", tmp_path / "style", tmp_path / "merged")

    merged = load_model(tmp_path / "merged", model_id="merged", ops=TorchOps())
    with torch.inference_mode():
        with base.adapters.ops.adding([(additions, len(TOKEN_IDS))]):
            expected = all_logits(base.family, TOKEN_IDS)
        torch.testing.assert_close(
            all_logits(merged.family, TOKEN_IDS), expected, atol=1e-4, rtol=0
        )
        assert (all_logits(base.family, TOKEN_IDS) - expected).abs().max() > 1e-2
    assert num_matrices == len(tensors) / 2


def test_transformers_reads_what_was_merged(tmp_path: Path) -> None:
    model = write_base(tmp_path / "base", "gpt2")
    write_lora(tmp_path / "style", model, ("c_attn",))
    merge_adapter(tmp_path / "base", tmp_path / "style", tmp_path / "merged")

    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    ours = load_model(tmp_path / "merged", model_id="m", ops=TorchOps())

    assert isinstance(theirs, GPT2LMHeadModel)
    with torch.inference_mode():
        expected = theirs(torch.tensor([TOKEN_IDS])).logits[0]
        torch.testing.assert_close(
            all_logits(ours.family, TOKEN_IDS), expected, atol=1e-4, rtol=1e-4
        )
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    model = write_base(tmp_path / "base", "gpt2")
    write_lora(tmp_path / "style", model, ("c_attn",))

    with pytest.raises(InvalidParameter, match="is there already"):
        merge_adapter(tmp_path / "base", tmp_path / "style", tmp_path / "base")


def test_a_model_that_takes_no_adapters_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    model = write_base(tmp_path / "base", "gpt2")
    write_lora(tmp_path / "style", model, ("c_attn",))
    path = tmp_path / "base" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"model_type": "opt"}))

    with pytest.raises(UnsupportedAdapter, match="'opt' takes no adapters"):
        merge_adapter(tmp_path / "base", tmp_path / "style", tmp_path / "merged")
    assert not (tmp_path / "merged").exists()
