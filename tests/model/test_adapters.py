"""An adapter adds what its merged weights would, on every family; what does not fit is refused."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoConfig,
    LlamaConfig,
    PreTrainedConfig,
    Qwen2Config,
    T5Config,
    T5ForConditionalGeneration,
)

from penstock.errors import AdapterNotFound, UnsupportedAdapter
from penstock.model.adapter_folder import CONFIG_FILE, WEIGHTS_FILE, AdapterFolders
from penstock.model.adapters import AdapterShelf
from penstock.model.families import FAMILIES
from penstock.model.families.interface import EncoderDecoder, Family
from penstock.ops.adapted_ops import AdaptedOps, Additions
from penstock.ops.choose import choose_ops
from penstock.ops.interface import Ops
from penstock.ops.torch_ops import TorchOps
from tests.model.forward import all_logits, answer_logits
from tests.model.lora_folders import merge, write_lora

VOCAB_SIZE = 61
TOKEN_IDS = [5, 3, 60, 7, 7, 12, 30, 1, 2, 44, 9]
LLAMA = {
    "vocab_size": VOCAB_SIZE, "hidden_size": 24, "intermediate_size": 33, "num_hidden_layers": 2,
    "num_attention_heads": 3, "num_key_value_heads": 1, "max_position_embeddings": 64,
    "pad_token_id": None,
}  # fmt: skip
CONFIGS: dict[str, tuple[PreTrainedConfig, tuple[str, ...]]] = {
    "gpt2": (
        GPT2Config(vocab_size=VOCAB_SIZE, n_positions=64, n_embd=24, n_layer=2, n_head=3),
        ("c_attn", "c_proj", "c_fc"),
    ),
    "gpt_neo": (
        GPTNeoConfig(
            vocab_size=VOCAB_SIZE, hidden_size=24, num_heads=3, num_layers=2, window_size=4,
            attention_types=[[["global", "local"], 1]], max_position_embeddings=64,
        ),
        ("q_proj", "v_proj", "out_proj", "c_fc", "c_proj"),
    ),
    "llama": (
        LlamaConfig(**LLAMA, attention_bias=True),
        ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    ),
    "llama-some": (LlamaConfig(**LLAMA), ("0.self_attn.v_proj", "up_proj")),
    "qwen2": (Qwen2Config(**LLAMA), ("k_proj", "down_proj")),
    "t5": (
        T5Config(
            vocab_size=VOCAB_SIZE, d_model=24, d_kv=6, d_ff=40, num_layers=2, num_heads=4,
            feed_forward_proj="gated-gelu", decoder_start_token_id=0, tie_word_embeddings=False,
        ),
        (".q", ".k", ".v", ".o", "wi_0", "wi_1", "wo"),
    ),
}  # fmt: skip
FAMILY_NAMES = pytest.mark.parametrize("name", CONFIGS)


def random_reference(config: PreTrainedConfig) -> nn.Module:
    """transformers' own model with random weights."""
    torch.manual_seed(3)
    if isinstance(config, T5Config):
        model = T5ForConditionalGeneration(config).eval()
    else:
        model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def load_family(reference: nn.Module, ops: Ops, store: torch.dtype = torch.float32) -> Family:
    config: Any = reference.config
    weights = {name: tensor.clone() for name, tensor in reference.state_dict().items()}
    if config.tie_word_embeddings:
        weights.pop("lm_head.weight")
    described = json.loads(config.to_json_string(use_diff=False))
    return FAMILIES[config.model_type].load(described, weights, ops, store)


def logits_of(family: Family, ops: AdaptedOps, additions: Additions | None) -> torch.Tensor:
    """Of the tokens, all of them with these additions."""
    with torch.inference_mode():
        if isinstance(family, EncoderDecoder):
            return _answer_logits(family, ops, additions)
        with ops.adding([(additions, len(TOKEN_IDS))]):
            return all_logits(family, TOKEN_IDS)


def _answer_logits(
    family: EncoderDecoder, ops: AdaptedOps, additions: Additions | None
) -> torch.Tensor:
    """The encoder reads a mate of three and all of the tokens, then all of the tokens again."""

    class Around:
        context_length, vocab_size, cache_shape = (
            family.context_length, family.vocab_size, family.cache_shape
        )  # fmt: skip

        def encode(self, batch, cache) -> None:
            with ops.adding([(None, 3 + len(TOKEN_IDS)), (additions, len(TOKEN_IDS))]):
                family.encode(batch, cache)

        def forward(self, batch, cache) -> torch.Tensor:
            with ops.adding([(additions, len(TOKEN_IDS))]):
                return family.forward(batch, cache)

    return answer_logits(Around(), TOKEN_IDS, TOKEN_IDS)  # type: ignore[arg-type]


def expected_logits(reference: nn.Module) -> torch.Tensor:
    ids = torch.tensor([TOKEN_IDS])
    with torch.inference_mode():
        if isinstance(reference, T5ForConditionalGeneration):
            return reference(input_ids=ids, decoder_input_ids=ids).logits[0]
        return reference(ids).logits[0]


def shelf(ops: AdaptedOps | None, *folders: Path, max_bytes: int = 2**20) -> AdapterShelf:
    return AdapterShelf(ops, AdapterFolders(named=folders), max_bytes=max_bytes)


@FAMILY_NAMES
@pytest.mark.parametrize("prefer", ["torch", "auto"])
def test_logits_are_those_of_the_merged_model(tmp_path: Path, name: str, prefer: Any) -> None:
    config, targets = CONFIGS[name]
    reference = random_reference(config)
    ops = AdaptedOps(choose_ops(prefer=prefer, num_threads=1).ops)
    family = load_family(reference, ops)
    tensors = write_lora(tmp_path / "style", reference, targets)
    plain = expected_logits(reference)
    merge(reference, tensors, 6 / 3)

    adapter = shelf(ops, tmp_path / "style").get("style")

    adapted = logits_of(family, ops, adapter.additions)
    torch.testing.assert_close(adapted, expected_logits(reference), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(logits_of(family, ops, None), plain, atol=1e-4, rtol=1e-4)
    assert (adapted - plain).abs().max() > 0.1


@pytest.mark.parametrize("store", [torch.bfloat16, torch.int8])
def test_on_rounded_weights_an_adapter_adds_the_same(tmp_path: Path, store: torch.dtype) -> None:
    config, targets = CONFIGS["llama"]
    reference = random_reference(config)
    ops = AdaptedOps(choose_ops(num_threads=1).ops)
    family = load_family(reference, ops, store)
    tensors = write_lora(tmp_path / "style", reference, targets)
    merge(reference, tensors, 6 / 3)

    adapter = shelf(ops, tmp_path / "style").get("style")

    expected = expected_logits(reference)
    off = logits_of(family, ops, adapter.additions) - expected
    assert off.std() < 0.05 * expected.std()
    assert (logits_of(family, ops, None) - expected).std() > 0.2 * expected.std()


@pytest.mark.parametrize(
    ("changes", "scales"),
    [
        ({"use_rslora": True}, {"q_proj": 6 / 3**0.5, "v_proj": 6 / 3**0.5}),
        ({"rank_pattern": {"q_proj": 5}}, {"q_proj": 6 / 5, "v_proj": 2}),
        ({"alpha_pattern": {"self_attn.v_proj": 1}}, {"q_proj": 2, "v_proj": 1 / 3}),
        (
            {"rank_pattern": {"v_proj": 4}, "alpha_pattern": {"v_proj": 1}, "use_rslora": True},
            {"q_proj": 6 / 3**0.5, "v_proj": 1 / 2},
        ),
        ({"lora_alpha": 0.5}, {"q_proj": 0.5 / 3, "v_proj": 0.5 / 3}),
    ],
)
def test_ranks_and_scales_are_those_of_the_configuration(
    tmp_path: Path, changes: Mapping[str, Any], scales: Mapping[str, float]
) -> None:
    reference = random_reference(CONFIGS["llama"][0])
    ops = AdaptedOps(TorchOps())
    family = load_family(reference, ops)
    tensors = write_lora(tmp_path / "a", reference, ("q_proj", "v_proj"), changes=changes)
    merge(reference, tensors, scales)

    additions = shelf(ops, tmp_path / "a").get("a").additions

    torch.testing.assert_close(
        logits_of(family, ops, additions), expected_logits(reference), atol=1e-4, rtol=1e-4
    )


def test_a_row_has_the_same_bits_whatever_its_mates_have(tmp_path: Path) -> None:
    reference = random_reference(CONFIGS["gpt2"][0])
    ops = AdaptedOps(TorchOps())
    load_family(reference, ops)
    for seed, name in enumerate("ab"):
        write_lora(tmp_path / name, reference, ("c_fc", "c_attn"), seed=seed)
    shelved = shelf(ops, tmp_path / "a", tmp_path / "b")
    one, other = (shelved.get(name).additions for name in "ab")
    weight = ops.modules["h.0.mlp.c_fc"].weight
    x, residual = torch.randn(12, 24), torch.randn(12, weight.out_features)

    with ops.adding([(one, 3), (None, 2), (other, 4), (one, 2), (None, 1)]):
        together = ops.linear(x, weight, "gelu_new", residual)

    for rows, additions in (
        (slice(0, 3), one), (slice(3, 5), None), (slice(5, 9), other), (slice(9, 11), one),
        (slice(11, 12), None),
    ):  # fmt: skip
        for row in range(*rows.indices(12)):
            with ops.adding([(additions, 1)]):
                apart = ops.linear(x[row : row + 1], weight, "gelu_new", residual[row : row + 1])
            assert torch.equal(apart[0], together[row])
    assert torch.equal(together[3:5], ops.base.linear(x[3:5], weight, "gelu_new", residual[3:5]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"peft_type": "IA3"}, "of the kind 'IA3'"),
        ({"use_dora": True}, "use_dora=True is not supported"),
        ({"bias": "all"}, "bias=all is not supported"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save=\['lm_head'\] is not supported"),
        ({"init_lora_weights": "pissa_niter_4"}, "changed the base model"),
        ({"r": 4}, r"the matrices of \S+c_attn are not of the rank it says"),
        ({"r": 0}, "r=0 is not a whole number"),
        ({"r": "3"}, "r='3' is not a whole number"),
        ({"lora_alpha": None}, "lora_alpha=None is not a number"),
        ({"rank_pattern": {"(": 3}}, "no regular expression"),
    ],
)
def test_more_or_less_than_a_lora_is_refused_with_the_reason(
    tmp_path: Path, changes: Mapping[str, Any], message: str
) -> None:
    reference = random_reference(CONFIGS["gpt2"][0])
    write_lora(tmp_path / "a", reference, ("c_attn",))
    path = tmp_path / "a" / CONFIG_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    ops = AdaptedOps(TorchOps())
    load_family(reference, ops)

    with pytest.raises(UnsupportedAdapter, match=message) as caught:
        shelf(ops, tmp_path / "a").get("a")

    assert caught.value.param == "adapter"


@pytest.mark.parametrize(
    ("key", "shape", "message"),
    [
        ("base_model.model.transformer.wte.lora_embedding_A", (3, 61), "no matrix of a linear"),
        ("base_model.model.transformer.h.0.attn.c_attn.lora_B.bias", (72,), "no matrix of a lin"),
        (
            "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight",
            (3, 25),
            "is .72, 25. in it",
        ),
        (
            "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight",
            (24, 3),
            "is .24, 24. in it",
        ),
        ("base_model.model.transformer.h.0.attn.c_attn.lora_A.weight", (3,), "is no matrix of fl"),
    ],
)
def test_matrices_of_another_kind_or_shape_are_refused(
    tmp_path: Path, key: str, shape: tuple[int, ...], message: str
) -> None:
    reference = random_reference(CONFIGS["gpt2"][0])
    write_lora(tmp_path / "a", reference, ("c_attn",))
    path = tmp_path / "a" / WEIGHTS_FILE
    save_file(load_file(path) | {key: torch.zeros(shape)}, path)
    ops = AdaptedOps(TorchOps())
    load_family(reference, ops)

    with pytest.raises(UnsupportedAdapter, match=message):
        shelf(ops, tmp_path / "a").get("a")


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff" * 100, b"\x08" + b"\0" * 7 + b"{}"])
def test_files_that_are_broken_are_refused_and_listed_with_the_reason(
    tmp_path: Path, name: str, content: bytes
) -> None:
    reference = random_reference(CONFIGS["gpt2"][0])
    write_lora(tmp_path / "a", reference, ("c_attn",))
    (tmp_path / "a" / name).write_bytes(content)
    ops = AdaptedOps(TorchOps())
    load_family(reference, ops)

    with pytest.raises(UnsupportedAdapter, match="The adapter a cannot be used"):
        shelf(ops, tmp_path / "a").get("a")
    card = AdapterFolders(named=(tmp_path / "a",)).cards()[0]
    assert card.name == "a"
    assert card.error is not None


@pytest.mark.parametrize("targets", [("q_proj",), ("lm_head",)])
def test_an_adapter_of_another_architecture_or_for_the_head_is_refused(
    tmp_path: Path, targets: tuple[str, ...]
) -> None:
    write_lora(tmp_path / "a", random_reference(CONFIGS["llama"][0]), targets)
    ops = AdaptedOps(TorchOps())
    load_family(random_reference(CONFIGS["gpt2"][0]), ops)

    with pytest.raises(UnsupportedAdapter, match="this model has no linear layer"):
        shelf(ops, tmp_path / "a").get("a")


def test_a_model_that_runs_through_transformers_takes_none(tmp_path: Path) -> None:
    write_lora(tmp_path / "a", random_reference(CONFIGS["llama"][0]), ("q_proj",))

    with pytest.raises(UnsupportedAdapter, match="runs through transformers"):
        shelf(None, tmp_path / "a").get("a")


@pytest.mark.parametrize("name", ["b", "", "..", "../a", "a/", "/etc", "a\0", "x" * 5000])
def test_a_name_is_looked_up_and_never_a_path(tmp_path: Path, name: str) -> None:
    write_lora(tmp_path / "adapters" / "a", random_reference(CONFIGS["llama"][0]), ("q_proj",))
    folders = AdapterFolders(data_dir=tmp_path)

    assert sorted(folders.by_name()) == ["a", "penstock-tiny-chat"]
    with pytest.raises(AdapterNotFound, match="There are a"):
        folders.find(name)


def test_a_pickle_is_not_read(tmp_path: Path) -> None:
    write_lora(tmp_path / "a", random_reference(CONFIGS["llama"][0]), ("q_proj",))
    (tmp_path / "a" / WEIGHTS_FILE).rename(tmp_path / "a" / "adapter_model.bin")

    card = AdapterFolders(named=(tmp_path / "a",)).cards()[0]
    assert card.name == "a"

    assert card.error is not None
    assert "can run any code" in card.error


def test_the_oldest_makes_room_and_what_is_too_large_is_refused_with_the_numbers(
    tmp_path: Path,
) -> None:
    reference = random_reference(CONFIGS["llama"][0])
    for name in "abc":
        write_lora(tmp_path / name, reference, ("q_proj",))
    ops = AdaptedOps(TorchOps())
    load_family(reference, ops)
    folders = [tmp_path / name for name in "abc"]
    size = shelf(ops, *folders).get("a").num_bytes
    shelved = shelf(ops, *folders, max_bytes=2 * size)

    first = shelved.get("a")
    shelved.get("b")
    assert shelved.get("a") is first
    shelved.get("c")

    assert [adapter.name for adapter in shelved.loaded()] == ["a", "c"]
    assert shelved.drop("a") and not shelved.drop("a")
    assert shelved.get("a") is not first
    with pytest.raises(UnsupportedAdapter, match=rf"takes {size} bytes .* may take 10"):
        shelf(ops, *folders, max_bytes=10).get("a")
