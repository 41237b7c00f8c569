"""Muon's step is orthogonal, of AdamW's size, and every weight has exactly one optimiser."""

from pathlib import Path

import pytest
import torch

from penstock.training.network import build_model
from penstock.training.optimizer import Muon, build_optimizers, orthogonalized, set_rate
from tests.training.small import small_recipe


def test_singular_values_are_pushed_towards_one() -> None:
    matrices = torch.randn(3, 8, 20, generator=torch.Generator().manual_seed(0))

    values = torch.linalg.svdvals(orthogonalized(matrices))

    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.3


@pytest.mark.parametrize("shape", [(16, 16), (16, 64), (64, 16)])
def test_a_step_has_the_size_of_an_adamw_step(shape: tuple[int, int]) -> None:
    param = torch.nn.Parameter(torch.zeros(shape))
    param.grad = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    Muon([param], lr=0.1, momentum=0.95, weight_decay=0.0).step()

    rms = float(param.detach().square().mean().sqrt())
    assert 0.7 * 0.2 * 0.1 < rms < 1.3 * 0.2 * 0.1
    assert float((param.detach() * param.grad).sum()) < 0  # downhill


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_every_weight_belongs_to_exactly_one_optimizer(tmp_path: Path, name: str) -> None:
    recipe = small_recipe(tmp_path, optimizer=name)
    model = build_model(recipe)

    optimizers = build_optimizers(model, recipe)

    held = [id(p) for o in optimizers for g in o.param_groups for p in g["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_norms_and_biases_do_not_decay(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, weight_decay=0.1)

    groups = [g for o in build_optimizers(build_model(recipe), recipe) for g in o.param_groups]

    for group in groups:
        assert {p.ndim for p in group["params"]} == ({2} if group["weight_decay"] else {1})


def test_the_rate_scales_the_full_learning_rate_and_not_the_last_one(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path)
    optimizers = build_optimizers(build_model(recipe), recipe)

    for rate in (0.5, 0.5, 1.0):
        set_rate(optimizers, rate)

    assert optimizers[0].param_groups[0]["lr"] == recipe.muon_learning_rate
    assert optimizers[1].param_groups[0]["lr"] == recipe.learning_rate
