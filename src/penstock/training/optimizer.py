"""The optimisers: AdamW for all weights, or Muon for the hidden matrices and AdamW for the rest.

Muon steps along the nearest orthogonal matrix of the averaged gradient (Newton-Schulz iteration);
it runs in batches of equal shapes, which is what a CPU likes. Knows no checkpoints.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from penstock.training.recipe import Recipe

_NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
_NEWTON_SCHULZ_STEPS = 5


class Muon(Optimizer):
    """Momentum, made orthogonal, with the step size matched to AdamW's (0.2 per element)."""

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float,
        momentum: float,
        weight_decay: float,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self._dtype = dtype  # of the iteration; the weights and their momentum stay as they are

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update all matrices once."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[tuple[nn.Parameter, Tensor]]] = defaultdict(list)
            for param in group["params"]:
                if param.grad is not None:
                    update = self._averaged(param, group["momentum"])
                    by_shape[_wide(update).shape].append((param, update))
            for pairs in by_shape.values():
                steps = orthogonalized(_stacked(pairs).to(self._dtype))
                _apply(pairs, steps, lr=group["lr"], weight_decay=group["weight_decay"])

    def _averaged(self, param: nn.Parameter, momentum: float) -> Tensor:
        assert param.grad is not None
        state = self.state[param]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(param)
        state["momentum_buffer"].lerp_(param.grad, 1 - momentum)
        averaged: Tensor = state["momentum_buffer"]
        return param.grad.lerp(averaged, momentum)


def orthogonalized(matrices: Tensor) -> Tensor:
    """Return matrices (n, rows <= columns) with all singular values pushed towards one."""
    a, b, c = _NEWTON_SCHULZ
    x: Tensor = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(_NEWTON_SCHULZ_STEPS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def build_optimizers(model: nn.Module, recipe: Recipe) -> list[Optimizer]:
    """Return the optimisers that together hold every trainable weight once."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    params = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in params if p.ndim == 2 and id(p) not in embeddings]
    tables = [p for p in params if id(p) in embeddings]
    vectors = [p for p in params if p.ndim < 2]
    if recipe.optimizer == "adamw":
        return [_adamw(matrices + tables, vectors, recipe)]
    muon = Muon(
        matrices,
        lr=recipe.muon_learning_rate,
        momentum=0.95,
        weight_decay=recipe.weight_decay,
        dtype=torch.bfloat16 if recipe.bf16 else torch.float32,
    )
    return [muon, _adamw(tables, vectors, recipe)]


def set_rate(optimizers: Iterable[Optimizer], rate: float) -> None:
    """Set every learning rate to this share of its full value."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group.setdefault("full_lr", group["lr"])
            group["lr"] = group["full_lr"] * rate


def _adamw(decayed: list[nn.Parameter], plain: list[nn.Parameter], recipe: Recipe) -> AdamW:
    groups = [
        {"params": decayed, "weight_decay": recipe.weight_decay},
        {"params": plain, "weight_decay": 0.0},
    ]
    return AdamW(groups, lr=recipe.learning_rate, betas=(0.9, recipe.adam_beta2), fused=True)


def _wide(matrix: Tensor) -> Tensor:
    return matrix if matrix.shape[0] <= matrix.shape[1] else matrix.mT


def _stacked(pairs: list[tuple[nn.Parameter, Tensor]]) -> Tensor:
    return torch.stack([_wide(update) for _, update in pairs])


def _apply(
    pairs: list[tuple[nn.Parameter, Tensor]], steps: Tensor, *, lr: float, weight_decay: float
) -> None:
    for (param, update), step in zip(pairs, steps, strict=True):
        turned = step if _wide(update).shape == update.shape else step.mT
        param.mul_(1 - lr * weight_decay)
        param.add_(turned, alpha=-lr * 0.2 * max(param.shape) ** 0.5)
