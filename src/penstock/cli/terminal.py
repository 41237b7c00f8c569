"""How the command line speaks: results to stdout, news to stderr, colour only where wanted."""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import typer

PLAIN_WIDTH = 200  # of a table that is not shown on a terminal


def report_problem(text: str) -> None:
    """Say in one line what went wrong."""
    print(f"penstock: {' '.join(text.split())}", file=sys.stderr)


def tell(text: str) -> None:
    """Print news, which is never part of a command's result."""
    print(text, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print one JSON object, readable and with its characters as they are."""
    import json

    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows in columns, as wide as the terminal where there is one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*headings, box=None, pad_edge=False, show_header=any(headings))
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # a cell is text, never markup
    Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH).print(table)


@contextmanager
def progress_bar(label: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar of bytes with words beside it, on stderr and only where a person watches.

    What it yields takes the number of bytes done, their total and the words.
    """
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TextColumn("{task.fields[words]}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task(label, total=None, words="")
        yield lambda done, total, words: progress.update(
            task, completed=done, total=total, words=words
        )


def show_help(context: typer.Context) -> None:
    """Answer a command group that was called without a command with its help."""
    if context.invoked_subcommand is None:
        print(context.get_help())
