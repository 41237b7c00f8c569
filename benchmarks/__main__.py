"""Measure Penstock beside other engines, in turn and in one run, and hold it against its goals.

Usage: python -m benchmarks [--quick] [--rounds N] [--new-tokens N] [--models NAME,…]
    [--contenders NAME,…] [--cases NAME,…] [--json PATH] [--runs PATH]
       python -m benchmarks --report PATH  (of a run that was kept)
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import peers
from benchmarks.cases import CASES, FULL, QUICK
from benchmarks.contenders import CONTENDERS
from benchmarks.kept_runs import KeptRun, load_kept_run
from benchmarks.machine import describe
from benchmarks.measure import Measured, measure
from benchmarks.models import MODELS, USUAL, benchmark_models
from benchmarks.report import as_json, markdown
from benchmarks.results import Results

DEFAULT_JSON = Path("build/benchmark.json")
DEFAULT_RUNS = Path("build/benchmark-runs.json")


def main() -> None:
    options = _options()
    run = load_kept_run(options.report) if options.report else _measure(options)
    all_results = [Results(measured) for measured in run.models]
    print(markdown(run.machine, run.size, all_results))
    figures = as_json(run.machine, run.size, all_results, run.date)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(figures, indent=1) + "\n")


def _measure(options: argparse.Namespace) -> KeptRun:
    """Measure all that is wanted; what there is of it is kept after every round."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # tidy up first
    size = QUICK if options.quick else FULL
    if options.rounds:
        size = replace(size, rounds=options.rounds)
    if options.new_tokens:
        size = replace(size, new_tokens=options.new_tokens)
    contenders = _those_here(options.contenders)
    run = KeptRun(datetime.now(UTC).date().isoformat(), describe(), size, [])
    with benchmark_models(options.models) as models:
        for model in models:
            print(f"Measuring {model.label}", file=sys.stderr)
            run.models.append(Measured(model, size))
            measure(run.models[-1], contenders, options.cases, lambda: run.save(options.runs))
    return run


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter texts")
    parser.add_argument("--models", type=_names_of(MODELS), default=[*USUAL])
    parser.add_argument("--contenders", type=_names_of(CONTENDERS), default=[*CONTENDERS])
    parser.add_argument("--cases", type=_names_of(CASES), default=[*CASES])
    parser.add_argument("--rounds", type=int, help="how often each load is carried out")
    parser.add_argument("--new-tokens", type=int, help="how many every stream writes")
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, help="where the figures go")
    parser.add_argument("--runs", type=Path, default=DEFAULT_RUNS, help="where all moments go")
    parser.add_argument("--report", type=Path, help="measure nothing: report on these moments")
    return parser.parse_args()


def _those_here(wanted: list[str]) -> list[str]:
    """Without the peers that are not installed, which are named on stderr."""
    here = peers.installed()
    entries = {name: CONTENDERS[name].peer for name in wanted}
    absent = [name for name, peer in entries.items() if peer and peer.name not in here]
    if absent:
        print(f"Not installed (make bench-peers): {', '.join(absent)}", file=sys.stderr)
    return [name for name in wanted if name not in absent]


def _names_of(known: Iterable[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        wanted = text.split(",")
        if unknown := set(wanted) - set(known):
            raise argparse.ArgumentTypeError(
                f"no {', '.join(sorted(unknown))}; there are {', '.join(known)}"
            )
        return wanted

    return names


if __name__ == "__main__":
    main()
