"""One step of every family is the step that transformers and PEFT compute."""

import json
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer

from penstock.errors import RecipeError
from penstock.model.adapters import read_low_ranks
from penstock.training.batches import NOT_COUNTED, Batch
from penstock.training.checkpoint import latest_checkpoint, load_weights, model_tensors
from penstock.training.loop import Training
from penstock.training.run import train_and_export
from tests.training.families import FAMILIES, write_family, write_questions
from tests.training.small import small_recipe
from tests.training.test_loop import quiet, start

CLOSE = {"rtol": 1e-5, "atol": 1e-5}

pytestmark = [  # PEFT's own, of versions to come
    pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:fan_in_fan_out"),
]


def recipe_for(folder: Path, family: str, **changes: Any) -> Any:
    model = write_family(folder / "base", family)
    questions = write_questions(folder / "questions.jsonl")
    settings = {
        "initial_model": str(model),
        "model": None,
        "data": [{"path": str(questions)}],
        "optimizer": "adamw",
        "block_size": 64,
        "sample_prompts": ["Who lived?"],
        **changes,
    }
    return small_recipe(folder, **settings)


def theirs(folder: Path, family: str, **options: Any) -> Any:
    auto = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    return auto.from_pretrained(folder / "base", **options).float().eval()


def loss_of_theirs(model: Any, batch: Batch, family: str) -> Tensor:
    """The loss as transformers has it: with a mask over the padding, labels that it shifts."""
    if family == "t5":
        inputs = {k: v for k, v in batch.inputs.items() if k != "decoder_input_ids"}
        return model(**inputs, labels=batch.labels).loss
    ids = batch.inputs["input_ids"]
    last = batch.labels[:, -1:]
    is_token = (batch.labels != NOT_COUNTED).flip(1).cumsum(1).flip(1) > 0
    mask = torch.cat([torch.ones_like(ids[:, :1]), is_token.long()], dim=1)
    whole = torch.cat([ids, last.clamp(min=0)], dim=1)
    labels = torch.cat([torch.full_like(last, NOT_COUNTED), batch.labels], dim=1)
    return model(input_ids=whole, attention_mask=mask, labels=labels).loss


def our_step(training: Training) -> tuple[Batch, Tensor]:
    batch = training.feed.next(0)
    loss = training.loss_of(training.model, batch) / batch.num_counted
    loss.backward()
    return batch, loss


@pytest.mark.parametrize("family", FAMILIES)
def test_a_full_step_equals_transformers(tmp_path: Path, family: str) -> None:
    training = start(recipe_for(tmp_path, family))
    reference = theirs(tmp_path, family, attn_implementation="eager")

    batch, loss = our_step(training)
    expected = loss_of_theirs(reference, batch, family)
    expected.backward()

    assert (batch.labels == NOT_COUNTED).any()  # prompts and padding are not learnt
    torch.testing.assert_close(loss, expected, **CLOSE)
    grads = {name: p.grad for name, p in reference.named_parameters()}
    for name, parameter in training.model.named_parameters():
        torch.testing.assert_close(parameter.grad, grads[name], **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_lora_step_equals_peft(tmp_path: Path, family: str) -> None:
    lora = {"rank": 3, "alpha": 6}
    training = start(recipe_for(tmp_path, family, method="lora", lora=lora))
    ours = dict(training.model.named_parameters())
    trained = {name: p for name, p in ours.items() if p.requires_grad}
    for parameter in trained.values():  # B begins at zero, where A would have no gradient
        torch.nn.init.normal_(parameter, std=0.1)
    task = "SEQ_2_SEQ_LM" if family == "t5" else "CAUSAL_LM"
    config = peft.LoraConfig(r=3, lora_alpha=6, lora_dropout=0.0, task_type=task)
    reference = peft.get_peft_model(theirs(tmp_path, family), config).eval()
    theirs_by_name = {
        name.removeprefix("base_model.model.").replace(".default.weight", ""): p
        for name, p in reference.named_parameters()
        if p.requires_grad
    }
    assert theirs_by_name.keys() == trained.keys()  # the same layers are adapted
    with torch.no_grad():
        for name, parameter in theirs_by_name.items():
            parameter.copy_(trained[name])

    batch, loss = our_step(training)
    expected = loss_of_theirs(reference, batch, family)
    expected.backward()

    torch.testing.assert_close(loss, expected, **CLOSE)
    for name, parameter in trained.items():
        torch.testing.assert_close(parameter.grad, theirs_by_name[name].grad, **CLOSE)
    assert all(p.grad is None for name, p in ours.items() if name not in trained)


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_and_penstock_load_the_adapter_that_a_run_leaves(tmp_path: Path, family: str) -> None:
    recipe = recipe_for(
        tmp_path, family, method="lora", learning_rate=0.01, sample_prompts=[], epochs=None
    )
    assert train_and_export(recipe, quiet(), command="") == 0

    folder = recipe.run_dir / "adapter"
    loaded = peft.PeftModel.from_pretrained(theirs(tmp_path, family), folder).eval()
    training = start(recipe)  # as the checkpoint has it
    batch = training.feed.next(0)
    with torch.no_grad():
        ours = training.model.eval()(**batch.inputs).logits
        expected = loaded(**batch.inputs).logits
        plain = theirs(tmp_path, family)(**batch.inputs).logits

    torch.testing.assert_close(ours, expected, **CLOSE)
    assert float((ours - plain).abs().max()) > 1e-3  # it does change something
    assert len(read_low_ranks(folder)) == len(model_tensors(training.model)) // 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_from_nothing_learns_and_is_loaded_by_transformers(
    tmp_path: Path, family: str
) -> None:
    shape = {"family": family, "vocab_size": 300, "n_embd": 32, "n_layer": 2, "n_head": 2}
    data = [{"path": str(write_questions(tmp_path / "questions.jsonl"))}]
    recipe = small_recipe(
        tmp_path,
        model=shape | {"n_positions": 64},
        block_size=64,
        data=data,
        max_steps=30,
        eval_steps=100,
        sample_prompts=["Who?"],
    )

    assert train_and_export(recipe, quiet(), command="") == 0

    auto = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    loaded = auto.from_pretrained(recipe.run_dir / "model").eval()
    assert len(AutoTokenizer.from_pretrained(recipe.run_dir / "model")) == 300
    training = start(recipe)
    batch = next(iter(training.feed.held_out()))
    with torch.no_grad():
        logits = loaded(**batch.inputs).logits
        torch.testing.assert_close(training.model.eval()(**batch.inputs).logits, logits, **CLOSE)
    assert float(training.validation_loss()) < 4.5  # nothing learnt is ln 300 = 5.7


def test_a_layer_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, "gpt2", method="lora", lora={"targets": ["q_proj"]})

    with pytest.raises(RecipeError) as refused:
        start(recipe)

    assert str(refused.value) == (
        "This model has no linear layer whose name ends in 'q_proj'. "
        "Set lora.targets to some of: c_attn, c_fc, c_proj; or to all-linear."
    )


def test_a_lora_run_resumes_to_the_bit_and_keeps_the_base_out_of_its_files(tmp_path: Path) -> None:
    recipe = recipe_for(tmp_path, "gpt2", method="lora", lora={"dropout": 0.3}, max_steps=4)
    whole = start(recipe)
    whole.run()
    again = recipe.model_copy(update={"output_dir": tmp_path / "second"})
    start(again.model_copy(update={"max_steps": 2, "warmup_steps": 2})).run()

    second = start(again)
    second.run()

    expected = model_tensors(whole.model)
    assert all(torch.equal(t, expected[n]) for n, t in model_tensors(second.model).items())
    checkpoint = latest_checkpoint(recipe.run_dir)
    assert checkpoint is not None
    assert (checkpoint / "model.safetensors").stat().st_size < 10_000
    load_weights(checkpoint, whole.model)
    config = json.loads((tmp_path / "base" / "config.json").read_text())
    assert config["resid_pdrop"] == 0.1  # the base's own dropout is left out of the run
    assert whole.model.config.resid_pdrop == 0.0
