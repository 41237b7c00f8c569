"""The exported folder is a model as Transformers has them, and its score is honest."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoTokenizer

from penstock.training.checkpoint import Progress, save_checkpoint
from penstock.training.corpus import prepare_corpus
from penstock.training.export import export_model
from penstock.training.network import build_model
from penstock.training.prepared import TokenizedSource
from penstock.training.scoring import score_documents
from tests.training.small import small_recipe


class Even(nn.Module):
    """A model for which all of 50 tokens are equally likely."""

    def forward(self, input_ids: Tensor, use_cache: bool) -> "Even":
        self.logits = torch.zeros(*input_ids.shape, 50)
        return self


def test_transformers_computes_the_same_from_the_exported_folder(tmp_path: Path) -> None:
    recipe = small_recipe(tmp_path, export_dtype="bfloat16")
    prepare_corpus(recipe)
    model = build_model(recipe).eval()
    progress = Progress(step=1, tokens_seen=1, data_position=[], best_loss=None, best_step=None)
    checkpoint = save_checkpoint(recipe.run_dir, model, [], progress)

    export_model(recipe, checkpoint, tmp_path / "model", model=model)

    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "model").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert loaded.dtype == torch.float32
    ids = tokenizer("Once upon a time", return_tensors="pt").input_ids
    rounded = model.bfloat16().float()
    assert torch.allclose(loaded(ids).logits, rounded(ids).logits, atol=1e-5)


@pytest.mark.parametrize("context", [3, 4, 100])
def test_every_token_is_scored_once_whatever_the_window(context: int) -> None:
    source = TokenizedSource(
        tokens=np.arange(30, dtype=np.uint16), ends=np.array([7, 8, 30]), num_words=10
    )

    score = score_documents(Even(), source, context=context)

    assert math.isclose(score.nats, 30 * math.log(50), rel_tol=1e-5)
    assert math.isclose(score.perplexity_per_token, 50, rel_tol=1e-4)
    assert math.isclose(score.perplexity_per_word, 50**3, rel_tol=1e-4)
