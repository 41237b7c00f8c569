"""Whether what is served computes what was trained: the same logits in each form of a model.

The forms are the adapter on its base, the merged checkpoint, and the merged checkpoint as a server
loads it. The first two are computed by the PyTorch reference, the third by what serves here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from penstock.errors import PromotionRefused
from penstock.model.adapter_folder import AdapterFolders
from penstock.model.loading import AdapterPlaces, LoadedModel, load_model
from penstock.ops.torch_ops import TorchOps
from penstock.registry.logits import logits_of

TOLERANCE = 1e-3  # of the largest difference of two logits; fp32 leaves some 1e-5
MAX_TEXTS = 4
MAX_TOKENS = 128  # of each


@dataclass(frozen=True, slots=True)
class Parity:
    """The largest difference of a logit between the first form and each other one."""

    num_logits: int
    largest: Mapping[str, float]

    def check(self) -> None:
        """Refuse forms that differ by more than the tolerance."""
        for form, found in self.largest.items():
            if not found <= TOLERANCE:  # NaN too
                raise PromotionRefused(
                    f"The {form} differs from what was trained: a logit by {found:.3g}, where "
                    f"{TOLERANCE:g} is tolerated.",
                    "Nothing was promoted. Check that the base is the one that was trained on.",
                )


def compare_forms(
    *,
    merged: Path,
    served: LoadedModel,
    adapter: Path | None,
    base: Path | None,
    texts: Sequence[str],
) -> Parity:
    """Compute the same tokens in each form. Without an adapter the checkpoint was trained."""
    checkpoint = load_model(merged, model_id="merged", ops=TorchOps())
    token_ids = _probes(checkpoint, texts)
    trained = [logits_of(checkpoint, ids) for ids in token_ids]
    forms = {"served model": [logits_of(served, ids) for ids in token_ids]}
    if adapter is not None and base is not None:
        forms["merged checkpoint"] = trained
        trained = _with_adapter(base, adapter, token_ids)
    return Parity(
        num_logits=sum(logits.numel() for logits in trained),
        largest={form: _largest_difference(trained, found) for form, found in forms.items()},
    )


def _with_adapter(base: Path, adapter: Path, token_ids: Sequence[Sequence[int]]) -> list[Tensor]:
    folders = AdapterFolders(named=(adapter,))
    model = load_model(
        base, model_id="base", ops=TorchOps(), adapters=AdapterPlaces(folders=folders)
    )
    laid_out = model.adapters.get(adapter.name)
    return [logits_of(model, ids, laid_out) for ids in token_ids]


def _probes(model: LoadedModel, texts: Sequence[str]) -> list[list[int]]:
    longest = min(MAX_TOKENS, model.context_length)
    encoded = (list(model.tokenizer.encode(text))[:longest] for text in texts)
    found = [ids for ids in encoded if ids][:MAX_TEXTS]
    return found or [list(range(min(longest, model.vocab_size)))]


def _largest_difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """NaN where a logit is no number."""
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))
