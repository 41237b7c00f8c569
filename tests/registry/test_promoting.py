"""From a run to a version that is served: what is checked, what is refused, what is recorded."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from penstock.errors import InvalidParameter, ModelUnavailable, PromotionRefused, UnknownRun
from penstock.evaluation.evaluate import Plan
from penstock.evaluation.evaluation import read_evaluation
from penstock.model.tuned import TunedModels
from penstock.registry import parity
from penstock.registry.held_out import held_out_rows
from penstock.registry.parity import Parity, compare_forms
from penstock.registry.promoting import Promoted, Promotion, promote
from penstock.registry.run_folder import find_run, list_runs, read_run
from penstock.registry.versions import find_tuned, list_tuned, roll_back
from penstock.serving.local_models import LocalModels
from penstock.serving.models import LoadingOptions
from tests.registry.runs import TEXTS, write_adapter_run, write_base, write_model_run, write_run

PLAN = Plan(tasks=("perplexity",))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Three runs: an adapter, a model, and one that has not finished."""
    base = write_base(tmp_path / "base")
    write_adapter_run(tmp_path / "runs" / "chat", base)
    write_model_run(tmp_path / "runs" / "stories")
    write_run(tmp_path / "runs" / "started")
    return tmp_path / "runs"


def promotion(runs: Path, run: str, **changes: object) -> Promotion:
    made = Promotion(
        run=find_run(run, runs),
        name=run,
        data_dir=runs.parent / "data",
        options=LoadingOptions(num_threads=1, data_dir=runs.parent / "data"),
        plan=PLAN,
        forced=True,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def promoted(runs: Path) -> Promoted:
    return promote(promotion(runs, "chat"))


def test_runs_are_read_as_training_leaves_them(runs: Path) -> None:
    found = {run.name: run for run in list_runs(runs)}

    assert {name: run.kind for name, run in found.items()} == {
        "chat": "adapter", "stories": "model", "started": "unfinished",
    }  # fmt: skip
    assert (found["chat"].step, found["chat"].loss) == (20, 3.25)
    assert found["chat"].base == str(runs.parent / "base")
    assert found["stories"].recipe == {"name": "stories", "seed": 7}


def test_an_adapter_is_served_as_a_checkpoint_that_computes_the_same(promoted: Promoted) -> None:
    assert set(promoted.parity.largest) == {"served model", "merged checkpoint"}
    assert all(found < 1e-4 for found in promoted.parity.largest.values())
    assert promoted.parity.num_logits > 100
    before, after = promoted.evaluations
    assert before.model == "base" and after.model == "chat@1"
    assert before.figures[0].value != after.figures[0].value
    assert {change.num_rows for change in promoted.changes} == {len(TEXTS)}


def test_the_lineage_tells_where_it_comes_from(promoted: Promoted, runs: Path) -> None:
    (entry,) = TunedModels(runs.parent / "data").current()
    lineage = dict(entry.lineage or {})

    assert (entry.id, entry.aliases) == ("chat@1", ("chat",))
    assert (lineage["run"], lineage["kind"], lineage["base"]) == ("chat", "adapter", "base")
    assert lineage["recipe"] == {"name": "chat", "seed": 7}
    assert len(lineage["recipe_digest"]) == len(lineage["code"]["digest"]) == 64
    assert lineage["metrics"]["perplexity"]["unit"] == "per token"
    assert lineage["parity"]["tolerance"] == parity.TOLERANCE
    assert lineage["evaluated_on"]["rows"] == len(TEXTS)
    assert lineage["changes"][0]["name"] == "perplexity"
    folder = promoted.model.version_folder(1)
    assert {p.name for p in folder.iterdir()} >= {
        "model", "adapter", "recipe.yaml", "log.jsonl", "report.html", "report.json", "report.md",
    }  # fmt: skip
    assert read_evaluation(folder / "report.json").model == "chat@1"


def test_data_that_the_recipe_names_is_in_the_lineage(runs: Path) -> None:
    data = runs.parent / "corpus.jsonl"
    data.write_text("x")
    (runs / "stories" / "recipe.yaml").write_text(f"data: [{{path: {data}}}]")

    found = promote(promotion(runs, "stories")).model.lineages[1]

    assert found["data_digests"]["corpus.jsonl"].startswith("2d711642b726b044")  # sha256 of x


def test_versions_follow_each_other_and_the_one_before_comes_back(runs: Path) -> None:
    data_dir = runs.parent / "data"
    source = LocalModels([], LoadingOptions(num_threads=1, data_dir=data_dir))
    promote(promotion(runs, "stories"))
    shutil.rmtree(runs / "stories")
    write_model_run(runs / "stories", seed=5)

    second = promote(promotion(runs, "stories"))

    assert second.evaluations[0].model == "stories@1"  # what was served is the before
    assert [source.find(name).id for name in ("stories", "stories@1")] == ["stories@2", "stories@1"]
    roll_back(data_dir, "stories")
    assert [card.id for card in source.cards() if card.lineage] == ["stories@1"]
    roll_back(data_dir, "stories", to=2)
    assert source.find("stories").id == "stories@2"
    assert find_tuned(data_dir, "stories").history == (1, 2)


def test_nothing_is_before_the_first_version(promoted: Promoted, runs: Path) -> None:
    with pytest.raises(PromotionRefused, match=r"chat has had no version before 1"):
        roll_back(runs.parent / "data", "chat")
    with pytest.raises(InvalidParameter, match=r"no version 4\. It has 1"):
        roll_back(runs.parent / "data", "chat", to=4)


def test_what_is_worse_is_promoted_only_by_force(runs: Path) -> None:
    write_run(runs / "worse")
    shutil.copytree(runs / "stories" / "model", runs / "worse" / "model")
    weights = runs / "worse" / "model" / "model.safetensors"
    tensors = load_file(weights)
    torch.manual_seed(1)
    save_file({k: v + torch.randn_like(v) for k, v in tensors.items()}, weights, {"format": "pt"})
    rows = [json.dumps({"text": text}) for text in TEXTS * 4]
    (runs / "worse" / "held_out.jsonl").write_text("\n".join(rows))
    order = promotion(runs, "worse", base=str(runs.parent / "base"), forced=False)

    with pytest.raises(PromotionRefused, match=r"perplexity per token went from .*--force"):
        promote(order)

    assert list_tuned(order.data_dir) == []
    assert not (order.data_dir / "tuned" / "worse").exists()
    assert promote(replace(order, forced=True)).changes[0].verdict == "worse"


def test_a_checkpoint_that_lacks_the_adapter_is_noticed(runs: Path) -> None:
    base, adapter = runs.parent / "base", runs / "chat" / "adapter"
    source = LocalModels([str(base)], LoadingOptions(num_threads=1))
    served = source.load("base").kit.model  # type: ignore[attr-defined]

    found = compare_forms(merged=base, served=served, adapter=adapter, base=base, texts=TEXTS)

    with pytest.raises(PromotionRefused, match=r"differs from what was trained: a logit by"):
        found.check()
    assert found.largest["merged checkpoint"] > 0.1 < found.largest["served model"]


@pytest.mark.parametrize("found", [0.0011, float("nan"), float("inf")])
def test_a_difference_above_the_tolerance_or_no_number_is_refused(found: float) -> None:
    Parity(1, {"served model": 0.0009}).check()
    with pytest.raises(PromotionRefused):
        Parity(1, {"served model": found}).check()


def test_a_wrong_base_is_noticed(runs: Path) -> None:
    """An adapter merged into another model than it was trained on is worse, or does not fit."""
    other = write_model_run(runs.parent / "other", seed=3) / "model"
    found = promote(promotion(runs, "chat", base=str(other)))

    assert found.evaluations[0].model == "model"
    assert found.model.lineages[1]["base"] == "model"


def test_what_cannot_be_promoted_says_why(runs: Path) -> None:
    with pytest.raises(PromotionRefused, match=r"neither a model nor an adapter yet"):
        promote(promotion(runs, "started"))
    with pytest.raises(UnknownRun, match=r"chat, started, stories"):
        find_run("nothing", runs)
    with pytest.raises(InvalidParameter, match=r"'gpt2' cannot be the name"):
        promote(promotion(runs, "chat", name="gpt2"))
    with pytest.raises(InvalidParameter, match=r"cannot be the name"):
        promote(promotion(runs, "chat", name="../x"))
    (runs / "chat" / "held_out.jsonl").unlink()
    with pytest.raises(PromotionRefused, match=r"kept no held-out text.*--data"):
        promote(promotion(runs, "chat"))
    with pytest.raises(ModelUnavailable, match=r"gpt2, which chat was made from"):
        promote(promotion(runs, "chat", base="gpt2"))


def test_a_version_that_was_not_finished_leaves_nothing(runs: Path) -> None:
    def cancelled() -> bool:
        return True

    with pytest.raises(Exception, match=r"cancelled"):
        promote(promotion(runs, "chat"), is_cancelled=cancelled)

    assert not (runs.parent / "data" / "tuned" / "chat").exists()


def test_a_record_that_is_broken_hides_only_itself(promoted: Promoted, runs: Path) -> None:
    data_dir = runs.parent / "data"
    broken = data_dir / "tuned" / "broken"
    broken.mkdir()
    (broken / "versions.json").write_text("{")

    assert [entry.id for entry in TunedModels(data_dir).current()] == ["chat@1"]


def test_a_folder_that_is_itself_a_model_is_a_run(runs: Path) -> None:
    assert read_run(runs / "stories" / "model").kind == "model"


def test_held_out_tokens_become_rows_again(runs: Path) -> None:
    """As training keeps them: a text, and a chat of which the last answer is scored."""
    run = find_run("stories", runs)
    (run.folder / "held_out.jsonl").unlink()
    tokenizer = Tokenizer.from_file(str(runs / "stories" / "model" / "tokenizer.json"))
    spoken = ("the mill", "a king", " came", " by", " here")
    text, *turns = (tokenizer.encode(said).ids for said in spoken)
    chat = [token_id for turn in turns for token_id in turn]
    is_answer = [number % 2 == 1 for number, turn in enumerate(turns) for _ in turn]
    for number, (document, counted) in enumerate([(text, None), (chat, is_answer)]):
        folder = run.folder / "corpus" / f"source{number}"
        folder.mkdir(parents=True)
        ids = np.asarray(document, np.uint16)
        (folder / "validation.tokens").write_bytes(ids.tobytes())
        (folder / "validation.ends").write_bytes(np.asarray([len(ids)], np.int64).tobytes())
        if counted is not None:
            (folder / "validation.counted").write_bytes(np.asarray(counted, np.bool_).tobytes())
        (folder / "data.json").write_text(json.dumps({"version": 1, "dtype": "uint16"}))

    found = held_out_rows(run, [runs / "stories" / "model"])

    assert found is not None
    assert [(row.text, row.prompt, row.references) for row in found.rows] == [
        ("the mill", "", ()), ("", "a king came by", (" here",)),
    ]  # fmt: skip
    (runs / "stories" / "run.json").write_text('{"data_digest": "abc"}')
    lineage = promote(promotion(runs, "stories")).model.lineages[1]
    assert lineage["data_digests"] == {"prepared": "abc"}
    assert lineage["evaluated_on"]["rows"] == 2
