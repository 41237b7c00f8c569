"""`penstock evaluate`: its options. The work is in `cli/evaluating.py`, imported when needed."""

from pathlib import Path
from typing import Annotated

import typer

from penstock.cli.terminal import print_json, print_table, tell

SEPARATOR = ","


def evaluate(  # noqa: PLR0913  (its options are its interface)
    models: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[MODEL]...",
            help="Model ids, folders or tuned models; MODEL+ADAPTER is one with a LoRA. The first "
            "is what the others are compared with.",
        ),
    ] = None,
    *,
    data: Annotated[
        Path | None, typer.Option(help="Rows: .jsonl, .json, .csv, .tsv, or a text.")
    ] = None,
    tasks: Annotated[
        str | None, typer.Option(help="Which tasks, with commas between; see --list-tasks.")
    ] = None,
    limit: Annotated[int | None, typer.Option(help="Rows at most, from the beginning.")] = None,
    stride: Annotated[
        int | None,
        typer.Option(
            help="Tokens by which windows over long texts move on [no overlap]. Smaller is "
            "slower, and gives each token more before it."
        ),
    ] = None,
    start: Annotated[
        bool,
        typer.Option(
            "--start/--no-start", help="Put the token that begins texts before each of them."
        ),
    ] = True,
    max_new_tokens: Annotated[int, typer.Option(help="Tokens of an answer at most.")] = 64,
    strategy: Annotated[str, typer.Option(help="How answers are written.")] = "greedy",
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the strategy."),
    ] = None,
    stop: Annotated[
        list[str] | None, typer.Option(help="An answer ends before this text; repeat for more.")
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same answers.")] = 0,
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave out rows that cannot be used.")
    ] = False,
    against: Annotated[
        Path | None,
        typer.Option(metavar="REPORT", help="The report.json of an earlier one, as the before."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write report.md, report.html and report.json there."),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Number format of the weights: float32, bfloat16, int8 or int4 [float32]."
        ),
    ] = None,
    list_tasks: Annotated[
        bool, typer.Option("--list-tasks", help="Tell which tasks there are, and stop.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the reports as JSON.")] = False,
) -> None:
    """Find out how well models do on the rows of a file, and whether one is better than another.

    For example: penstock evaluate penstock-tiny tiny+chat --data held_out.jsonl --out report
    """
    from penstock.cli.evaluating import Order, carry_out
    from penstock.cli.logs import LogLevel, set_up_logging
    from penstock.errors import EvaluationError
    from penstock.evaluation.evaluation import to_json
    from penstock.evaluation.report.files import write_report
    from penstock.evaluation.report.markdown import markdown
    from penstock.evaluation.tasks import DEFAULT_TASKS, TASKS

    set_up_logging(LogLevel.WARNING)
    if list_tasks:
        rows = [
            (t.id, "yes" if t.id in DEFAULT_TASKS else "", t.description) for t in TASKS.values()
        ]
        print_table(["task", "by default", "what it finds out"], rows)
        return
    if data is None:
        raise EvaluationError(
            "There is nothing to evaluate on.", "Give a file with --data.", param="data"
        )
    order = Order(
        models=tuple(models or ()),
        data=data,
        tasks=DEFAULT_TASKS if tasks is None else tuple(tasks.split(SEPARATOR)),
        limit=limit,
        stride=stride,
        with_start=start,
        max_new_tokens=max_new_tokens,
        strategy=strategy,
        assignments=tuple(assignments or ()),
        stop=tuple(stop or ()),
        seed=seed,
        skip_bad_rows=skip_bad_rows,
        against=against,
        dtype=dtype,
    )
    evaluations = carry_out(order)
    if out is not None:
        write_report(evaluations, out)
        tell(f"The report is {out / 'report.html'}, with report.md and report.json beside it.")
    if as_json:
        print_json({"evaluations": [to_json(evaluation) for evaluation in evaluations]})
    else:
        print(markdown(evaluations))
