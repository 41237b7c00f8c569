"""Classifier-free guidance with a negative prompt (Sanchez et al. 2023, arXiv 2306.17806)."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.scatter import NEGATIVE_INFINITY


class Guidance(LogitsProcessor):
    """Goes further from what would be written after the negative prompt, by `guidance_scale`.

    As transformers' `UnbatchedClassifierFreeGuidanceLogitsProcessor`: on log-probabilities,
    `scale * (conditional - unconditional) + unconditional`. What cannot be written cannot be
    written afterwards either.
    """

    name = "guidance_scale"

    def is_active(self, row: Row) -> bool:
        return row.unconditional is not None

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        given = [row.unconditional for row in rows if row.unconditional is not None]
        base = torch.stack(given).to(logits.device).log_softmax(dim=-1)
        scores = logits.log_softmax(dim=-1)
        scale = logits.new_tensor([[row.params.guidance_scale] for row in rows])
        guided = scale * (scores - base) + base
        return torch.where(scores > NEGATIVE_INFINITY, guided, NEGATIVE_INFINITY)
