"""Promotes a run: merge, check that all forms agree, evaluate before and after, register."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from penstock.errors import ModelUnavailable, PromotionRefused
from penstock.evaluation.comparison import Change, compare
from penstock.evaluation.evaluate import Plan, evaluate
from penstock.evaluation.evaluation import Evaluation
from penstock.evaluation.examples import Examples
from penstock.evaluation.in_process import InProcess
from penstock.evaluation.progress import IsCancelled, Watch
from penstock.evaluation.report.files import write_report
from penstock.model.catalog import find_configured
from penstock.model.hub import local_folder
from penstock.model.hub_cache import hub_access
from penstock.model.merging import merge_adapter
from penstock.model.tuned import MODEL, TunedModel, TunedModels
from penstock.registry.held_out import held_out_rows
from penstock.registry.lineage import lineage_of
from penstock.registry.parity import Parity, compare_forms
from penstock.registry.run_folder import LOG, RECIPE, Run
from penstock.registry.versions import new_version, register
from penstock.serving.local_engine import LocalEngineKit, load_hosted_model
from penstock.serving.models import HostedModel, LoadingOptions, LoadPlan

GATE = "perplexity"  # the figure that may not get worse
DEFAULT_PLAN = Plan(tasks=("perplexity", "distinct", "repetition"), limit=200)
ADAPTER = "adapter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """What is to be promoted, and on what it is judged."""

    run: Run
    name: str
    data_dir: Path
    options: LoadingOptions
    base: str | None = None  # else what the run says
    examples: Examples | None = None  # else what the run held out
    plan: Plan = DEFAULT_PLAN
    forced: bool = False  # also if it got worse


@dataclass(frozen=True, slots=True)
class Promoted:
    """What came of it."""

    model: TunedModel
    parity: Parity
    evaluations: tuple[Evaluation, ...]  # before, if there is a before, and after
    changes: tuple[Change, ...]


def promote(
    promotion: Promotion,
    *,
    tell: Callable[[str], None] = lambda news: None,
    watch: Watch = lambda progress: None,
    is_cancelled: IsCancelled = lambda: False,
) -> Promoted:
    """Promote a run, or say why not and leave everything as it was. Slow."""
    run = promotion.run
    result = _result(run)
    base_name, base = _base(promotion)
    examples = _examples(promotion, [folder for folder in (result, base) if folder is not None])
    with new_version(promotion.data_dir, promotion.name) as version:
        merged = version.folder / MODEL
        if run.kind == ADAPTER:
            assert base is not None  # an adapter without one was refused
            tell(f"Merging {result.name} into {base_name}.")
            merge_adapter(base, result, merged)
            shutil.copytree(result, version.folder / ADAPTER)
        else:
            shutil.copytree(result, merged)
        options = replace(promotion.options, dtype="float32")
        model_id = f"{version.name}@{version.number}"
        served = load_hosted_model(LoadPlan(model_id=model_id, folder=merged, options=options))
        parity = _checked_parity(run, result, base, merged, served, examples)
        for form, largest in parity.largest.items():
            tell(
                f"The {form} agrees with what was trained: logits differ by at most {largest:.2g}."
            )

        def judge(hosted: HostedModel) -> Evaluation:
            subject = InProcess(hosted)
            return evaluate(
                promotion.plan, subject, examples, watch=watch, is_cancelled=is_cancelled
            )

        before = None if base is None else judge(_load(base_name or "base", base, options))
        after = judge(served)
        changes = () if before is None else tuple(compare(before, after))
        _refuse_worse(promotion, changes)
        evaluations = (after,) if before is None else (before, after)
        write_report(evaluations, version.folder)
        for name in (RECIPE, LOG):
            if (run.folder / name).is_file():
                shutil.copyfile(run.folder / name, version.folder / name)
        lineage = lineage_of(
            run,
            base=base_name,
            weights_digest=served.model.weights_digest,
            parity=parity,
            after=after,
            changes=changes,
        )
        return Promoted(register(version, lineage), parity, evaluations, changes)


def _result(run: Run) -> Path:
    if run.result is None:
        raise PromotionRefused(
            f"The run {run.name} has neither a model nor an adapter yet.",
            "Let the training finish first.",
        )
    return run.result


def _base(promotion: Promotion) -> tuple[str | None, Path | None]:
    """What the run is held against: its base, else the version that is served now."""
    run = promotion.run
    name = promotion.base or run.base or run.recipe.get("initial_model")
    tuned = TunedModels(promotion.data_dir)
    if name is None and run.kind == ADAPTER:
        raise PromotionRefused(
            f"The adapter of {run.name} does not say which model it was made for.",
            "Name it with --base.",
        )
    if name is None:
        current = tuned.find(promotion.name)
        return (None, None) if current is None else (current.id, current.folder)
    entry = tuned.find(str(name)) or find_configured(str(name))
    folder = local_folder(entry, hub_access(data_dir=promotion.data_dir))
    if folder is None:
        raise ModelUnavailable(
            f"The files of {entry.id}, which {run.name} was made from, are not on this machine.",
            f"Fetch them with `penstock models pull {entry.id}`, or name another --base.",
            param="base",
        )
    return entry.id, folder


def _examples(promotion: Promotion, folders: Sequence[Path]) -> Examples:
    examples = promotion.examples or held_out_rows(promotion.run, folders)
    if examples is None:
        raise PromotionRefused(
            f"The run {promotion.run.name} kept no held-out text to judge it on.",
            "Give some that it did not learn with --data.",
        )
    return examples


def _checked_parity(
    run: Run,
    result: Path,
    base: Path | None,
    merged: Path,
    served: HostedModel,
    examples: Examples,
) -> Parity:
    assert isinstance(served.kit, LocalEngineKit)
    parity = compare_forms(
        merged=merged,
        served=served.kit.model,
        adapter=result if run.kind == ADAPTER else None,
        base=base,
        texts=_texts(examples),
    )
    parity.check()
    return parity


def _texts(examples: Examples) -> Sequence[str]:
    return [example.text or example.prompt for example in examples.rows]


def _load(name: str, folder: Path, options: LoadingOptions) -> HostedModel:
    return load_hosted_model(LoadPlan(model_id=name, folder=folder, options=options))


def _refuse_worse(promotion: Promotion, changes: Sequence[Change]) -> None:
    gate = next((change for change in changes if change.name == GATE), None)
    if gate is None or gate.verdict != "worse" or promotion.forced:
        return
    raise PromotionRefused(
        f"{promotion.run.name} is worse than what it came from: perplexity per token went from "
        f"{gate.before:.3f} to {gate.after:.3f} on {gate.num_rows} rows.",
        "Nothing was promoted. Use --force to promote it all the same.",
    )
