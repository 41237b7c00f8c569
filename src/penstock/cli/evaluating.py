"""Evaluates models in the terminal, one after the other, with the engine in this process."""

import gc
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from penstock.api.building import patient_loading_options
from penstock.api.playground.asking import understand
from penstock.api.services import Defaults
from penstock.cli.assignments import find_strategy, parse_assignments
from penstock.cli.terminal import tell
from penstock.cli.writing import body_of
from penstock.errors import InvalidParameter
from penstock.evaluation.comparison import compare
from penstock.evaluation.evaluate import Plan
from penstock.evaluation.evaluate import evaluate as run_evaluation
from penstock.evaluation.evaluation import Evaluation, read_evaluation
from penstock.evaluation.examples import Examples, read_examples
from penstock.evaluation.in_process import InProcess
from penstock.evaluation.progress import Progress, Watch
from penstock.evaluation.scoring import Scoring
from penstock.evaluation.writing import Writing
from penstock.model.adapter_folder import CONFIG_FILE as ADAPTER_CONFIG
from penstock.model.folder import CONFIG_FILE
from penstock.serving.local_models import LocalModels
from penstock.settings import Settings, load_settings

TELL_SECONDS = 10.0  # between two lines of news where nobody watches a terminal
ADAPTER_MARK = "+"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the command line asks for."""

    models: tuple[str, ...]
    data: Path
    tasks: tuple[str, ...]
    limit: int | None = None
    stride: int | None = None
    with_start: bool = True
    max_new_tokens: int = 64
    strategy: str = "greedy"
    assignments: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    seed: int = 0
    skip_bad_rows: bool = False
    against: Path | None = None
    dtype: str | None = None


def carry_out(order: Order) -> list[Evaluation]:
    """The evaluations, that of `against` first. Everything is checked before a model is loaded."""
    settings = load_settings({"engine.dtype": order.dtype})
    plan = _plan(order, settings)
    before = [] if order.against is None else [read_evaluation(order.against)]
    examples = read_examples(order.data, skip_bad_rows=order.skip_bad_rows)
    for bad in examples.bad_rows[:5]:
        tell(f"Line {bad.row} is left out: {bad.why}.")
    evaluations = list(before)
    for name in order.models or (settings.model,):
        evaluation = evaluate_model(name, plan, examples, settings)
        compare(evaluations[0] if evaluations else evaluation, evaluation)  # refuses other data
        evaluations.append(evaluation)
    return evaluations


def evaluate_model(name: str, plan: Plan, examples: Examples, settings: Settings) -> Evaluation:
    """Load a model, evaluate it and let it go. `MODEL+ADAPTER` is one with a LoRA."""
    model, adapter = split_name(name)
    options = patient_loading_options(settings)
    if adapter is not None and (folder := Path(adapter).expanduser()).is_dir():
        options = replace(options, adapter_folders=(*options.adapter_folders, folder.resolve()))
        adapter = folder.resolve().name
    source = LocalModels([model], options, hf_token=settings.hub_token)
    subject = InProcess(source.load(source.find(model).id), adapter)
    try:
        with shown_progress(name) as watch:
            return run_evaluation(plan, subject, examples, watch=watch)
    finally:
        del subject
        gc.collect()  # the next model needs its memory


def split_name(name: str) -> tuple[str, str | None]:
    """The model and the adapter of `MODEL+ADAPTER`; a folder may have a `+` in its name."""
    if (Path(name).expanduser() / CONFIG_FILE).is_file() or ADAPTER_MARK not in name:
        return name, None
    model, _, adapter = name.partition(ADAPTER_MARK)
    if not model or not adapter:
        raise InvalidParameter(
            f"MODEL={name!r} names no model and adapter.",
            f"Write MODEL+ADAPTER; an adapter is a name or a folder with {ADAPTER_CONFIG}.",
            param="model",
        )
    return model, adapter


def _plan(order: Order, settings: Settings) -> Plan:
    strategy = find_strategy(order.strategy)
    fields = parse_assignments(order.assignments, strategy)
    body = body_of("-", {**fields, "strategy": strategy.id, "max_new_tokens": order.max_new_tokens})
    return Plan(
        tasks=order.tasks,
        limit=order.limit,
        scoring=Scoring(stride=order.stride, with_start=order.with_start),
        writing=Writing(
            max_new_tokens=order.max_new_tokens,
            strategy=strategy.id,
            params=understand("-", body, Defaults(model=settings.model)).params,
            stop=order.stop,
            seed=order.seed,
        ),
    )


@contextmanager
def shown_progress(label: str) -> Iterator[Watch]:
    """Shows how far it is, how fast, and how long it takes: a bar, or a line now and then."""
    if not sys.stderr.isatty():
        yield _Lines(label)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[words]}"),
    )
    with Bars(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, TaskID] = {}

        def watch(progress: Progress) -> None:
            if progress.stage not in tasks:
                tasks[progress.stage] = bars.add_task(f"{label}: {progress.stage}", words="")
            bars.update(
                tasks[progress.stage],
                completed=progress.num_done,
                total=progress.num_total,
                words=pace(progress),
            )

        yield watch


class _Lines:
    """A line of news at the beginning of a stage and every few seconds."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._told_at = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if progress.num_done and now - self._told_at < TELL_SECONDS:
            return
        self._told_at = now
        of = f"{progress.num_done:,}/{progress.num_total:,}"
        tell(f"{self._label}: {progress.stage}, {of}{pace(progress)}")


def pace(progress: Progress) -> str:
    """How fast it goes and how long it still takes."""
    left = progress.seconds_left
    if left is None:
        return ""
    minutes, seconds = divmod(round(left), 60)
    return f"  {progress.tokens_per_second:,.0f} tokens/s, {minutes}:{seconds:02} left"
