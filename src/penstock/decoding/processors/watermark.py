"""Makes the green tokens of a watermark likelier."""

from collections.abc import Sequence

import torch
from torch import Tensor

from penstock.decoding.processors.interface import LogitsProcessor, Row
from penstock.decoding.processors.ranking import column
from penstock.decoding.watermark import WatermarkScheme, green_list


class Watermark(LogitsProcessor):
    """Adds delta to the logits of the tokens that are green after the last one.

    The soft watermark of Kirchenbauer et al. 2023, as transformers has it: the last step of all, so
    that delta is what the tokens that are left differ by.
    """

    name = "watermark_delta"

    def is_active(self, row: Row) -> bool:
        return bool(row.token_ids)

    def __call__(self, logits: Tensor, rows: Sequence[Row]) -> Tensor:
        vocab_size = logits.shape[-1]
        green = torch.stack([green_list(_scheme(r), vocab_size, r.token_ids[-1]) for r in rows])
        delta = column(rows, "watermark_delta", logits)
        return logits + green.to(logits.device) * delta


def _scheme(row: Row) -> WatermarkScheme:
    return WatermarkScheme(gamma=row.params.watermark_gamma, key=row.params.watermark_key)
