"""`penstock generate`: its options. The work is in `cli/writing.py`, imported when it is needed."""

import sys
from typing import Annotated

import typer

from penstock.cli.terminal import print_json


def generate(  # noqa: PLR0913  (its options are its interface)
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="Text to continue; - reads it from stdin.")
    ],
    *,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Model id, hub id or folder.")
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(metavar="NAME", help="A LoRA adapter on top of the model.")
    ] = None,
    strategy: Annotated[str | None, typer.Option(help="Decoding strategy [sampling].")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(help="Tokens to write at most.")] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            help="Number format of the weights: float32, bfloat16, int8 or int4 [float32]."
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same text.")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Set a parameter of the strategy."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole answer as one JSON object.")
    ] = False,
) -> None:
    """Continue PROMPT and print the text as it is written.

    For example: penstock generate "Once upon a time" --set temperature=0.7 --set top_p=0.9
    """
    from penstock.cli.logs import LogLevel, set_up_logging
    from penstock.cli.writing import ask, print_text, write

    set_up_logging(LogLevel.WARNING)
    flags = {
        "strategy": strategy,
        "max_new_tokens": max_new_tokens,
        "seed": seed,
        "adapter": adapter,
    }
    settings = {"model": model, "engine.dtype": dtype}
    text = sys.stdin.read() if prompt == "-" else prompt
    question = ask(text, assignments or [], flags, settings)
    if as_json:
        print_json(write(question).model_dump(mode="json"))
    else:
        print_text(question)
