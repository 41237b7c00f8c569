"""The `penstock` command: its commands, its exit statuses and how it reports a problem.

Imports no torch and no settings: each command fetches what it needs when it runs.
"""

import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import Annotated, NoReturn

import typer
from typer.main import get_command

from penstock import __version__
from penstock.cli import (
    adapters,
    attributes,
    config,
    data,
    doctor,
    evaluate,
    executor,
    generate,
    jobs,
    keys,
    models,
    runs,
    serve,
    train,
    users,
)
from penstock.cli.exits import ExitCode, exit_code_for
from penstock.cli.terminal import report_problem, show_help
from penstock.errors import PenstockError

app = typer.Typer(
    rich_markup_mode=None,  # plain help is quicker, and reads the same in a pipe
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(serve.serve)
app.command()(generate.generate)
app.add_typer(jobs.app, name="jobs", invoke_without_command=True, callback=show_help)
app.command()(executor.executor)
app.add_typer(models.app, name="models", invoke_without_command=True, callback=show_help)
app.add_typer(adapters.app, name="adapters", invoke_without_command=True, callback=show_help)
app.add_typer(attributes.app, name="attributes", invoke_without_command=True, callback=show_help)
app.command(cls=train.RecipeCommand)(train.train)
app.command()(evaluate.evaluate)
app.add_typer(runs.app, name="runs", invoke_without_command=True, callback=show_help)
app.add_typer(data.app, name="data", invoke_without_command=True, callback=show_help)
app.add_typer(users.app, name="users", invoke_without_command=True, callback=show_help)
app.add_typer(keys.app, name="keys", invoke_without_command=True, callback=show_help)
app.add_typer(config.app, name="config", invoke_without_command=True, callback=show_help)
app.command()(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"penstock {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def penstock(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """Write with language models: generate, compare and serve text on your own machine."""
    show_help(context)


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit status. Only defects raise."""
    try:
        status = get_command(app).main(
            args=list(arguments), prog_name="penstock", standalone_mode=False
        )
    except typer.TyperException as error:
        context = getattr(error, "ctx", None)
        command = "penstock" if context is None else context.command_path
        report_problem(f"{error.format_message().rstrip('.')}. See: {command} --help")
        return ExitCode.USAGE
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except PenstockError as error:
        report_problem(str(error))
        return exit_code_for(error)
    return status if isinstance(status, int) else ExitCode.OK


def main() -> NoReturn:
    """The entry point of the installed command."""
    signal.signal(signal.SIGTERM, _end)
    sys.exit(run(sys.argv[1:]))


def _end(signum: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)
