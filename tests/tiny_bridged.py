"""Small random models of architectures that run through transformers' code, each twice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    BloomConfig,
    Gemma2Config,
    GemmaConfig,
    GPTJConfig,
    GPTNeoXConfig,
    MambaConfig,
    MBartConfig,
    OPTConfig,
    PhiConfig,
)

from penstock.model.families.transformers_bridge import load_bridged
from penstock.model.loading import LoadedModel
from penstock.ops.torch_ops import TorchOps
from tests.tiny_gpt2 import EOS, byte_tokenizer, loaded

VOCAB_SIZE = 258
START = 257
ENDS = {"vocab_size": VOCAB_SIZE, "eos_token_id": EOS, "bos_token_id": START, "pad_token_id": START}
WIDTHS = {"hidden_size": 32, "intermediate_size": 40, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "max_position_embeddings": 128}
BART: dict[str, Any] = {
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 40,
    "max_position_embeddings": 128,
    "decoder_start_token_id": EOS,
    "forced_eos_token_id": None,
}
GEMMA = {"head_dim": 8, "num_key_value_heads": 2}
CONFIGS = {
    "gpt_neox": lambda: GPTNeoXConfig(**ENDS, **WIDTHS, **HEADS),
    "opt": lambda: OPTConfig(
        **ENDS, **HEADS, hidden_size=32, ffn_dim=40, num_hidden_layers=2, word_embed_proj_dim=32
    ),
    "phi": lambda: PhiConfig(**ENDS, **WIDTHS, **HEADS),
    "gemma": lambda: GemmaConfig(**ENDS, **WIDTHS, **HEADS, **GEMMA),
    "gemma2": lambda: Gemma2Config(**ENDS, **WIDTHS, **HEADS, **GEMMA, sliding_window=8),
    "gptj": lambda: GPTJConfig(
        **ENDS, n_embd=24, n_layer=2, n_head=3, n_positions=128, rotary_dim=4
    ),
    "bloom": lambda: BloomConfig(**ENDS, hidden_size=24, n_layer=2, n_head=4),  # no positions
    "mamba": lambda: MambaConfig(**ENDS, hidden_size=16, state_size=4, num_hidden_layers=2),
    "bart": lambda: BartConfig(**ENDS, **BART),
    "mbart": lambda: MBartConfig(**ENDS, **BART),
}
SEQ2SEQ = ("bart", "mbart")


@dataclass(frozen=True)
class TinyBridged:
    """The same random weights twice."""

    reference: Any
    model: LoadedModel

    def generate(
        self, prompt: Sequence[int], max_new_tokens: int, **options: object
    ) -> list[list[int]]:
        """What transformers' `generate` writes, cut after the end token."""
        output = self.reference.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=max_new_tokens,
            do_sample=False,
            **options,
        )
        start = 1 if self.reference.config.is_encoder_decoder else len(prompt)
        return [_cut(row[start:].tolist()) for row in output]


def tiny_bridged(name: str, seed: int = 0) -> TinyBridged:
    torch.manual_seed(seed)
    config = CONFIGS[name]()
    auto = AutoModelForSeq2SeqLM if name in SEQ2SEQ else AutoModelForCausalLM
    reference = auto.from_config(config).eval()
    for parameter in reference.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.35)
    weights = {key: tensor.clone() for key, tensor in reference.state_dict().items()}
    family = load_bridged(config.to_dict(), weights, TorchOps(), torch.float32)
    return TinyBridged(reference, loaded(family, name, byte_tokenizer("<pad>")))


def _cut(token_ids: list[int]) -> list[int]:
    """What is padded has ended: the padding token alone may have been written."""
    return token_ids[: token_ids.index(EOS) + 1] if EOS in token_ids else token_ids
