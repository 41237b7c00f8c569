"""`penstock train`: run a recipe in the terminal. Knows flags and exit codes, not training."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.errors import RecipeError


def train(
    recipe: Annotated[Path, typer.Argument(help="YAML file that describes the run.")],
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Forget what the run did so far and start again.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Refuse to start unless there is a checkpoint.")
    ] = False,
) -> None:
    """Train a model as the recipe says; a run that was stopped continues from its checkpoint."""
    # Imported late: torch takes a second, and `penstock --help` should not wait for it.
    from penstock.training.checkpoint import latest_checkpoint
    from penstock.training.recipe import load_recipe
    from penstock.training.reporter import Reporter
    from penstock.training.run import forget_run, train_and_export

    plan = load_recipe(recipe)
    if fresh and resume:
        raise RecipeError("--fresh and --resume exclude each other.", "Give one of them.")
    if resume and latest_checkpoint(plan.output_dir) is None:
        raise RecipeError(
            f"There is no checkpoint in {plan.output_dir}.", "Leave --resume out to start."
        )
    if fresh:
        forget_run(plan.output_dir)
    with Reporter() as reporter:
        exit_code = train_and_export(plan, reporter, command=f"penstock train {recipe}")
    if exit_code:
        raise typer.Exit(exit_code)
