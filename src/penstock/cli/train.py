"""`penstock train`: run a recipe in the terminal. Knows flags and exit codes, not training."""

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from penstock.errors import RecipeError

INDENT = 2
WIDTH = 100


class RecipeCommand(TyperCommand):
    """A command whose help also explains every key of a recipe."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the keys, which are fetched only when somebody asks."""
        from penstock.training.recipe import DataSource, LoraRecipe, ModelRecipe, Recipe
        from penstock.training.recipe_file import keys_of

        for title, section in (
            ("Keys of a recipe (YAML)", Recipe),
            ("Keys of each source under data", DataSource),
            ("Keys under model", ModelRecipe),
            ("Keys under lora", LoraRecipe),
        ):
            formatter.width = WIDTH
            with formatter.section(title):
                formatter.write_dl([(name, _told(*told)) for name, *told in keys_of(section)])


def _told(default: str, meaning: str) -> str:
    if default == "needed":
        return f"{meaning} [needed]"
    return f"{meaning} [default: {default}]" if default else meaning


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML file that describes the run.")],
    *,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what the run did so far and start again.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Refuse to start unless there is a checkpoint.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Report on the data and the time it would take; no training."),
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(help="Read the recipe's only source from here.", show_default=False),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a key; may be repeated."),
    ] = None,
) -> None:
    """Train a model as the recipe says; a run that was stopped continues from its checkpoint."""
    # Imported late: torch takes a second, and `penstock --help` should not wait for it.
    from penstock.training import run
    from penstock.training.checkpoint import latest_checkpoint
    from penstock.training.processes import is_first_process
    from penstock.training.recipe_file import load_recipe
    from penstock.training.reporter import Reporter

    plan = load_recipe(recipe, changes or (), data)
    if fresh and resume:
        raise RecipeError("--fresh and --resume exclude each other.", "Give one of them.")
    if resume and latest_checkpoint(plan.run_dir) is None:
        raise RecipeError(
            f"There is no checkpoint in {plan.run_dir}.", "Leave --resume out to start."
        )
    if fresh and is_first_process():
        run.forget_run(plan.run_dir)
    with Reporter() as reporter:
        if check:
            run.check(plan, reporter)
            return
        exit_code = run.train_and_export(plan, reporter, command=_again(recipe, data, changes))
    if exit_code:
        raise typer.Exit(exit_code)


def _again(recipe: Path, data: Path | None, changes: list[str] | None) -> str:
    """The command that continues this run."""
    parts = ["penstock train", str(recipe)]
    parts += [] if data is None else [f"--data {data}"]
    parts += [f"--set {change}" for change in changes or ()]
    return " ".join(parts)
