"""Small random GPT-2 models: transformers' own, and the same weights in our engine."""

from collections.abc import Sequence
from dataclasses import dataclass

import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel

from penstock.model.families.gpt2 import GPT2
from penstock.model.families.interface import Family
from penstock.model.loading import LoadedModel
from penstock.ops.interface import Ops
from penstock.ops.torch_ops import TorchOps
from penstock.text.tokenizer import Tokenizer

EOS = 0
VOCAB_SIZE = 257


@dataclass(frozen=True)
class TinyModel:
    """The same random weights twice."""

    reference: GPT2LMHeadModel
    model: LoadedModel


def byte_tokenizer(*more_specials: str) -> Tokenizer:
    """One token per byte after the end token, so every text and every broken character occurs.

    More special tokens come after the bytes.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = ("<|endoftext|>", *alphabet, *more_specials)
    vocab = {token: i for i, token in enumerate(tokens)}
    backend = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_special_tokens(["<|endoftext|>", *more_specials])
    return Tokenizer(backend, frozenset({EOS}))


def tiny_model(
    seed: int = 0,
    *,
    context_length: int = 128,
    num_layers: int = 2,
    ops: Ops | None = None,
    store: torch.dtype = torch.float32,
) -> TinyModel:
    """A model of few layers whose logits are spread enough that near-ties are rare."""
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCAB_SIZE,
        n_positions=context_length,
        n_embd=32,
        n_layer=num_layers,
        n_head=4,
        bos_token_id=EOS,
        eos_token_id=EOS,
        initializer_range=0.6,
    )
    reference = GPT2LMHeadModel(config).eval()
    weights = {name: tensor.detach() for name, tensor in reference.state_dict().items()}
    family = GPT2.load(config.to_dict(), weights, ops or TorchOps(), store)
    return TinyModel(reference, loaded(family, "tiny"))


def loaded(family: Family, model_id: str, tokenizer: Tokenizer | None = None) -> LoadedModel:
    """A family as a loaded model with the byte tokenizer, or with the one given."""
    return LoadedModel(
        model_id=model_id,
        family=family,
        tokenizer=tokenizer or byte_tokenizer(),
        context_length=family.context_length,
        vocab_size=family.vocab_size,
        num_parameters=family.num_parameters,
        dtype="float32",
        num_bytes=family.num_bytes,
        load_seconds=0.0,
    )


def reference_generate(
    tiny: TinyModel, prompt: Sequence[int], max_new_tokens: int, **options: object
) -> list[list[int]]:
    """What transformers' `generate` writes after `prompt`, cut after the end token."""
    output = tiny.reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        pad_token_id=EOS,
        **options,
    )
    return [cut_after_end(row[len(prompt) :].tolist()) for row in output]


def cut_after_end(token_ids: list[int]) -> list[int]:
    """What is padded has ended: the padding token alone may have been written."""
    return token_ids[: token_ids.index(EOS) + 1] if EOS in token_ids else token_ids
