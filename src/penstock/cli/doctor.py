"""`penstock doctor`: what this machine offers, which kernels run and why, what is wrong."""

import sys
from typing import Annotated

import typer

from penstock.cli.exits import ExitCode
from penstock.cli.terminal import print_json, print_table


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check this machine: Python, torch, kernels, cores, memory, disk, folders, models, port."""
    from dataclasses import asdict

    from penstock.cli.findings import Surroundings, examine
    from penstock.settings import load_settings

    settings = load_settings()
    findings = examine(
        Surroundings(
            host=settings.host,
            port=settings.port,
            data_dir=settings.data_dir,
            num_threads=settings.threads,
            dtype=settings.engine.dtype,
        )
    )
    if as_json:
        print_json({"findings": [asdict(finding) for finding in findings]})
    else:
        rows = [(f.name, f.state, " ".join(filter(None, (f.text, f.hint)))) for f in findings]
        print_table(["", "", ""], rows)
    if any(finding.state == "problem" for finding in findings):
        sys.exit(ExitCode.FAILURE)
