"""The models that are measured, as folders that every contender loads like any other model."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import penstock

BUILT_IN = Path(penstock.__file__).parent / "model" / "builtin"
BUILT_IN_ID = "penstock-tiny"
MODELS = {
    "gpt2": "GPT-2 shape, 124 M, random weights",
    "qwen2": "Qwen2-0.5B shape, 494 M, random weights",
    BUILT_IN_ID: "penstock-tiny, built in",
}
USUAL = ("gpt2", BUILT_IN_ID)  # qwen2 takes some 20 GB of memory beside all contenders
SEED = 20  # of the random weights


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """A model folder under the name it has in the report."""

    id: str
    label: str
    folder: Path


@contextmanager
def benchmark_models(names: list[str]) -> Iterator[list[BenchmarkModel]]:
    """The named models that can be had here; what had to be made is deleted afterwards."""
    with TemporaryDirectory(prefix="penstock-bench-") as scratch:
        models = []
        if "gpt2" in names:
            folder = Path(scratch) / "gpt2-shape"
            _write_random_gpt2(folder)
            models.append(BenchmarkModel("gpt2", MODELS["gpt2"], folder))
        if "qwen2" in names:
            folder = Path(scratch) / "qwen2-shape"
            _write_random_qwen2(folder)
            models.append(BenchmarkModel("qwen2", MODELS["qwen2"], folder))
        if BUILT_IN_ID in names:
            models.append(BenchmarkModel(BUILT_IN_ID, MODELS[BUILT_IN_ID], BUILT_IN))
        yield models


def _write_random_gpt2(folder: Path) -> None:
    """GPT-2's smallest size from its configuration alone: the work is the same, no download."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = GPT2Config()
    torch.manual_seed(SEED)
    GPT2LMHeadModel(config).save_pretrained(folder)
    _write_tokenizer(folder, config.vocab_size)


def _write_random_qwen2(folder: Path) -> None:
    """Qwen2-0.5B from its configuration alone, in bf16 as it is published."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    config = Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=24,
        num_attention_heads=14,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
        dtype="bfloat16",
    )
    torch.manual_seed(SEED)
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    _write_tokenizer(folder, config.vocab_size)


def _write_tokenizer(folder: Path, vocab_size: int) -> None:
    """A byte-level BPE of GPT-2's size whose merges are pairs, then triples of characters."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    end, letters = "<|endoftext|>", [chr(c) for c in range(ord("a"), ord("z") + 1)]
    merges = [(a, b) for a in ["Ġ", *letters] for b in letters]
    merges += [(a + b, c) for a, b in merges for c in letters]
    room = vocab_size - len(alphabet) - 1
    rare = [(a, b) for a in alphabet for b in alphabet if a not in letters and b not in letters]
    merges = (merges + [pair for pair in rare if pair[0] != "Ġ"])[:room]
    vocab = {token: i for i, token in enumerate([*alphabet, *map("".join, merges)])}
    vocab[end] = vocab_size - 1
    tokenizer = Tokenizer(models.BPE(vocab=vocab, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([end])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": end}))
