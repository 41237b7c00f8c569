"""Measure Penstock beside transformers, in turn and in one run, and hold it against its goals.

Usage: python -m benchmarks [--quick] [--models NAME,…] [--contenders NAME,…] [--json PATH]
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cases import FULL, QUICK
from benchmarks.contenders import CONTENDERS
from benchmarks.machine import describe
from benchmarks.measure import measure
from benchmarks.models import MODELS, benchmark_models
from benchmarks.report import as_json, markdown
from benchmarks.results import Results

DEFAULT_JSON = Path("build/benchmark.json")


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # tidy up first
    size = QUICK if options.quick else FULL
    machine = describe()
    all_results = []
    with benchmark_models(options.models) as models:
        for model in models:
            print(f"Measuring {model.label}", file=sys.stderr)
            all_results.append(Results(measure(model, options.contenders, size)))
    print(markdown(machine, size, all_results))
    date = datetime.now(UTC).date().isoformat()
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(as_json(machine, size, all_results, date), indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and shorter texts")
    parser.add_argument("--models", type=_names_of(MODELS), default=[*MODELS])
    parser.add_argument("--contenders", type=_names_of(CONTENDERS), default=[*CONTENDERS])
    parser.add_argument("--json", type=Path, default=DEFAULT_JSON, help="where the figures go")
    return parser.parse_args()


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
