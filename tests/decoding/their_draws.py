"""What transformers' own sampling writes when it is handed the random numbers that we draw with.

Its loops, filters and scores are its own; only `torch.multinomial` is ours, so whole texts can be
compared and not just their distribution.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from transformers import GenerationMixin

from penstock.decoding.randomness import gumbels, noise_key, stream_of, uniform
from tests.tiny_gpt2 import EOS, TinyModel, cut_after_end


def their_samples(
    tiny: TinyModel, prompt: Sequence[int], seed: int, num_texts: int, **options: Any
) -> list[list[int]]:
    """So many texts, each drawn with the numbers of its own stream."""
    positions = count()

    def multinomial(probs: Tensor, num_samples: int) -> Tensor:
        position = next(positions)
        uniforms = [[uniform(seed, stream, position)] for stream in range(len(probs))]
        mass = probs.double().cumsum(dim=-1)
        return torch.searchsorted(mass, mass.new_tensor(uniforms) * mass[:, -1:], right=True)

    with patch("torch.multinomial", multinomial):
        return _generate(tiny, prompt, num_return_sequences=num_texts, **options)


def their_beam_samples(
    tiny: TinyModel, prompt: Sequence[int], seed: int, **options: Any
) -> list[list[int]] | None:
    """The best texts of beam sampling, or `None` where a step has too few ways to go on.

    With those transformers refuses to draw.
    """
    continuations = GenerationMixin._get_top_k_continuations

    def drawn(
        self: Any, accumulated_log_probs: Tensor, running_sequences: Tensor, **more: Any
    ) -> Any:
        texts = running_sequences[0, :, len(prompt) : more["cur_len"]].tolist()
        keys = [noise_key(seed, stream_of(text), len(text)) for text in texts]
        vocab_size = accumulated_log_probs.shape[-1] // len(texts)
        noisy = accumulated_log_probs + torch.from_numpy(gumbels(keys, vocab_size)).flatten()

        def multinomial(probs: Tensor, num_samples: int) -> Tensor:
            best = noisy.topk(num_samples)
            if float(best.values[0, -1]) < -1e8:  # what transformers gives beams that are not there
                raise TooFew
            return best.indices

        with patch("torch.multinomial", multinomial):
            return continuations(
                self,
                accumulated_log_probs=accumulated_log_probs,
                running_sequences=running_sequences,
                **more,
            )

    with patch.object(GenerationMixin, "_get_top_k_continuations", drawn):
        try:
            return _generate(tiny, prompt, **options)
        except TooFew:
            return None


class TooFew(Exception):
    """Fewer tokens have a probability than are to be drawn."""


def _generate(tiny: TinyModel, prompt: Sequence[int], **options: Any) -> list[list[int]]:
    output = tiny.reference.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
        do_sample=True,
        pad_token_id=EOS,
        **options,
    )
    return [cut_after_end(row[len(prompt) :].tolist()) for row in output]
