"""Small random T5 models: transformers' own, and the same weights in our engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import T5Config, T5ForConditionalGeneration

from penstock.model.families.t5 import T5
from penstock.model.loading import LoadedModel
from penstock.ops.interface import Ops
from penstock.ops.torch_ops import TorchOps
from tests.tiny_gpt2 import EOS, byte_tokenizer, cut_after_end, loaded

VOCAB_SIZE = 258
START = 257


@dataclass(frozen=True)
class TinyT5:
    """The same random weights twice."""

    reference: T5ForConditionalGeneration
    model: LoadedModel


def tiny_t5(
    seed: int = 0, *, context_length: int = 128, is_gated: bool = False, ops: Ops | None = None
) -> TinyT5:
    """A two-layer model that writes different things, so that near-ties are rare."""
    torch.manual_seed(seed)
    config = T5Config(
        vocab_size=VOCAB_SIZE,
        n_positions=context_length,
        d_model=32,
        d_kv=6,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        relative_attention_num_buckets=8,
        relative_attention_max_distance=20,
        feed_forward_proj="gated-gelu" if is_gated else "relu",
        tie_word_embeddings=not is_gated,
        eos_token_id=EOS,
        pad_token_id=START,
        decoder_start_token_id=START,
    )
    reference = T5ForConditionalGeneration(config).eval()
    for parameter in reference.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    weights = {name: tensor.detach() for name, tensor in reference.state_dict().items()}
    del weights["lm_head.weight"]
    family = T5.load(config.to_dict(), weights, ops or TorchOps(), torch.float32)
    return TinyT5(reference, loaded(family, "tiny-t5", byte_tokenizer("<pad>")))


def reference_answer(
    tiny: TinyT5, prompt: Sequence[int], max_new_tokens: int, **options: object
) -> list[list[int]]:
    """What transformers' `generate` answers to `prompt`, cut after the end token."""
    output = tiny.reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        **options,
    )
    return [cut_after_end(row[1:].tolist()) for row in output]
