"""`penstock runs`: what was trained, what of it is served, and back to what was before."""

from pathlib import Path
from typing import Annotated, Any

import typer

from penstock.cli.terminal import print_json, print_table, tell

app = typer.Typer(help="List training runs; promote them and roll back.", rich_markup_mode=None)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
Runs = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder in which the runs lie.")]
HERE = Path("runs")


@app.command("list")
def list_runs(runs: Runs = HERE, as_json: AsJson = False) -> None:
    """List the runs in a folder, and the tuned models with the version that is served."""
    from penstock.registry import run_folder
    from penstock.registry.versions import list_tuned
    from penstock.settings import load_settings

    found = run_folder.list_runs(runs)
    tuned = list_tuned(load_settings().data_dir)
    if as_json:
        models = [
            {"name": t.name, "current": t.current, "versions": list(t.lineages)} for t in tuned
        ]
        print_json({"runs": [_described(run) for run in found], "models": models})
        return
    served = {t.lineages[t.current].get("run"): f"{t.name}@{t.current}" for t in tuned}
    print_table(
        ["run", "made", "step", "loss", "served as"],
        [(r.name, r.kind, _shown(r.step), _shown(r.loss), served.get(r.name, "-")) for r in found],
    )
    for model in tuned:
        versions = ", ".join(map(str, model.lineages))
        tell(f"{model.name}: version {model.current} is served, of {versions}.")


@app.command()
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="A tuned model, a run or its folder.")
    ],
    runs: Runs = HERE,
    as_json: AsJson = False,
) -> None:
    """Show a tuned model's versions with their lineage, or what a run left behind."""
    from penstock.errors import UnknownRun
    from penstock.registry.run_folder import find_run
    from penstock.registry.versions import find_tuned
    from penstock.settings import load_settings

    try:
        tuned = find_tuned(load_settings().data_dir, name)
    except UnknownRun:
        described = _described(find_run(name, runs))
        if as_json:
            print_json(described)
        else:
            print_table(["", ""], [(key, _shown(value)) for key, value in described.items()])
        return
    if as_json:
        versions = {str(number): lineage for number, lineage in tuned.lineages.items()}
        print_json({"name": name, "current": tuned.current, "versions": versions})
        return
    print_table(
        ["version", "", "run", "base", "promoted", "perplexity", "report"],
        [
            (
                str(number),
                "served" if number == tuned.current else "",
                _shown(lineage.get("run")),
                _shown(lineage.get("base")),
                _shown(lineage.get("promoted_at")),
                _shown(lineage.get("metrics", {}).get("perplexity", {}).get("value")),
                str(tuned.version_folder(number) / "report.html"),
            )
            for number, lineage in tuned.lineages.items()
        ],
    )


@app.command()
def promote(  # noqa: PLR0913  (its options are its interface)
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    *,
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="Name to serve it by [the run's].")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Held-out rows to judge it on [those the run kept].")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="MODEL", help="What it was tuned from [as the run says].")
    ] = None,
    tasks: Annotated[
        str, typer.Option(help="What is measured, with commas between.")
    ] = "perplexity,distinct,repetition",
    limit: Annotated[int, typer.Option(help="Rows at most.")] = 200,
    force: Annotated[
        bool, typer.Option("--force", help="Promote it also if it is worse than its base.")
    ] = False,
    runs: Runs = HERE,
    as_json: AsJson = False,
) -> None:
    """Have a run's model served: check that all its forms agree, evaluate it, register it.

    A server with the same data directory offers it at once, without a restart.
    """
    from penstock.api.building import patient_loading_options
    from penstock.cli.evaluating import shown_progress
    from penstock.evaluation.evaluate import Plan
    from penstock.evaluation.examples import read_examples
    from penstock.evaluation.report.markdown import markdown
    from penstock.registry.promoting import Promotion
    from penstock.registry.promoting import promote as promote_run
    from penstock.registry.run_folder import find_run
    from penstock.registry.versions import check_name
    from penstock.settings import load_settings

    found = find_run(run, runs)
    check_name(name or found.name)
    settings = load_settings()
    promotion = Promotion(
        run=found,
        name=name or found.name,
        data_dir=settings.data_dir,
        options=patient_loading_options(settings),
        base=base,
        examples=None if data is None else read_examples(data),
        plan=Plan(tasks=tuple(tasks.split(",")), limit=limit),
        forced=force,
    )
    with shown_progress(promotion.name) as watch:
        promoted = promote_run(promotion, tell=tell, watch=watch)
    model = promoted.model
    if as_json:
        print_json({"id": f"{model.name}@{model.current}", **model.lineages[model.current]})
    else:
        print(markdown(promoted.evaluations))
    tell(
        f"{model.name} is served as version {model.current}: {model.version_folder(model.current)}"
    )


@app.command()
def rollback(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A tuned model.")],
    to: Annotated[int | None, typer.Option(help="Version [the one before].")] = None,
) -> None:
    """Serve the version again that was served before. A running server does so at once."""
    from penstock.registry.versions import roll_back
    from penstock.settings import load_settings

    model = roll_back(load_settings().data_dir, name, to=to)
    tell(f"{name} is served as version {model.current} again.")


def _described(run: Any) -> dict[str, Any]:
    return {
        "name": run.name,
        "folder": str(run.folder),
        "made": run.kind,
        "base": run.base,
        "step": run.step,
        "loss": run.loss,
        "recipe": dict(run.recipe),
    }


def _shown(value: object) -> str:
    match value:
        case None | "":
            return "-"
        case float():
            return f"{value:.4g}"
    return str(value)
