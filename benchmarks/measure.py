"""Carries out all loads on all contenders in turn: each round visits every one of them once."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks.cases import CASES, Size
from benchmarks.contender_process import ContenderProcess
from benchmarks.contenders import CONTENDERS
from benchmarks.load import About, Load, Prompt, Run
from benchmarks.machine import Bandwidth
from benchmarks.models import BenchmarkModel
from benchmarks.progress import Progress
from benchmarks.prompts import prompts
from benchmarks.server_process import Start, measure_start

WARM_UP_TOKENS = 4
STARTING = "start of the server"


@dataclass(frozen=True, slots=True)
class Turn:
    """One load for one contender."""

    case: str
    contender: str

    def __str__(self) -> str:
        return f"{CONTENDERS[self.contender].label}: {CASES[self.case].title}"


@dataclass(slots=True)
class Measured:
    """All runs on one model. Grows while it is measured, then only read."""

    model: BenchmarkModel
    size: Size
    abouts: dict[str, About] = field(default_factory=dict)
    runs: dict[Turn, list[Run]] = field(default_factory=lambda: defaultdict(list))
    bandwidths: list[float] = field(default_factory=list)
    starts: list[Start] = field(default_factory=list)


def measure(model: BenchmarkModel, contenders: Sequence[str], size: Size) -> Measured:
    """Run every case on every contender that can, A B A B …, `size.rounds` times."""
    turns = plan(contenders)
    measured = Measured(model, size)
    bandwidth = Bandwidth()
    given = prompts(
        model.folder,
        count=max(case.num_streams for case in CASES.values()),
        num_tokens=size.prompt_tokens,
    )
    progress = Progress([*contenders, *([*map(str, turns), STARTING] * size.rounds)])
    with _running(model, contenders) as processes:
        for name, process in processes.items():
            with progress.step(name):
                measured.abouts[name] = process.wait_until_loaded()
                process.run(_warm_up(given))
        for _ in range(size.rounds):
            measured.bandwidths.append(bandwidth.measure())
            for turn in turns:
                load = CASES[turn.case].load(given, size)
                with progress.step(str(turn)):
                    measured.runs[turn].append(processes[turn.contender].run(load))
            with progress.step(STARTING):
                measured.starts.append(measure_start(str(model.folder)))
    return measured


def plan(contenders: Sequence[str]) -> list[Turn]:
    """The turns of one round: case by case, so that rivals follow each other closely."""
    return [
        Turn(case, name)
        for case, entry in CASES.items()
        for name in contenders
        if CONTENDERS[name].takes_arrivals or not entry.needs_arrivals
    ]


@contextmanager
def _running(
    model: BenchmarkModel, contenders: Sequence[str]
) -> Iterator[dict[str, ContenderProcess]]:
    """The contenders' processes, all loading the model."""
    processes: dict[str, ContenderProcess] = {}
    try:
        for name in contenders:
            processes[name] = ContenderProcess(name, model.folder)
        yield processes
    finally:
        for process in processes.values():
            process.close()


def _warm_up(given: tuple[Prompt, ...]) -> Load:
    return Load(prompts=given[:2], arrivals=(0, 0), new_tokens=WARM_UP_TOKENS)
