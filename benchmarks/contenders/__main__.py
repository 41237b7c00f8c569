"""The process of one contender: reads loads from stdin, a line each, and answers on stdout.

Usage: python -m benchmarks.contenders NAME MODEL_FOLDER
"""

import os
import signal
import sys
from pathlib import Path
from typing import TextIO

from benchmarks.contenders import CONTENDERS
from benchmarks.load import Run, load_from, to_line


def main() -> None:
    name, folder = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # tidy up first
    answers = _answers()
    contender = CONTENDERS[name].make(Path(folder))
    try:
        _say(answers, to_line(contender.about()))
        for line in sys.stdin:
            streams = tuple(contender.run(load_from(line)))
            _say(answers, to_line(Run(streams=streams, peak_bytes=contender.peak_bytes())))
    finally:
        contender.close()


def _answers() -> TextIO:
    """The real stdout for answers alone; whatever libraries print goes to stderr."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _say(answers: TextIO, line: str) -> None:
    answers.write(line + "\n")
    answers.flush()


main()
