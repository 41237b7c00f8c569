"""Carries out all loads on all contenders in turn: each round visits every one of them once."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from benchmarks import peers
from benchmarks.cases import CASES, LONG_PROMPT, NUM_STREAMS, Size
from benchmarks.contender_process import ContenderProcess
from benchmarks.contenders import CONTENDERS
from benchmarks.load import About, Load, Prompt, Run
from benchmarks.machine import Bandwidth, Peak
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
    peaks: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    starts: list[Start] = field(default_factory=list)


def measure(
    measured: Measured,
    contenders: Sequence[str],
    cases: Sequence[str],
    after_round: Callable[[], None],
) -> None:
    """Run every one of `cases` on every contender that can, A B A B …, as often as the size says.

    What is measured is added to `measured`, which is complete whenever `after_round` is called.
    """
    turns, model, size = plan(contenders, cases), measured.model, measured.size
    bandwidth, peak = Bandwidth(), Peak()
    given = {
        size.prompt_tokens: prompts(model.folder, count=NUM_STREAMS, num_tokens=size.prompt_tokens),
        LONG_PROMPT: prompts(model.folder, count=1, num_tokens=LONG_PROMPT),
    }
    progress = Progress([*contenders, *([*map(str, turns), STARTING] * size.rounds)])
    with _running(model, contenders) as processes:
        for name, process in processes.items():
            with progress.step(name):
                measured.abouts[name] = process.wait_until_loaded()
                process.run(_warm_up(given[size.prompt_tokens]))
        for _ in range(size.rounds):
            measured.bandwidths.append(bandwidth.measure())
            for width, rate in peak.measure().items():
                measured.peaks[width].append(rate)
            for turn in turns:
                load = CASES[turn.case].load(given[CASES[turn.case].prompt_tokens(size)], size)
                with progress.step(str(turn)):
                    measured.runs[turn].append(processes[turn.contender].run(load))
            with progress.step(STARTING):
                measured.starts.append(measure_start(str(model.folder)))
            after_round()


def plan(contenders: Sequence[str], cases: Sequence[str] = tuple(CASES)) -> list[Turn]:
    """The turns of one round: case by case, so that rivals follow each other closely."""
    return [
        Turn(case, name)
        for case in cases
        for name in contenders
        if CONTENDERS[name].takes_arrivals or not CASES[case].needs_arrivals
    ]


@contextmanager
def _running(
    model: BenchmarkModel, contenders: Sequence[str]
) -> Iterator[dict[str, ContenderProcess]]:
    """The contenders' processes, all loading the model."""
    processes: dict[str, ContenderProcess] = {}
    try:
        for name in contenders:
            processes[name] = _process(name, model)
        yield processes
    finally:
        for process in processes.values():
            process.close()


def _process(name: str, model: BenchmarkModel) -> ContenderProcess:
    peer = CONTENDERS[name].peer
    if peer is None:
        return ContenderProcess(name, model.folder)
    return ContenderProcess(name, peer.converted(model.folder, model.id), peers.RUNS)


def _warm_up(given: tuple[Prompt, ...]) -> Load:
    return Load(prompts=given[:2], arrivals=(0, 0), new_tokens=WARM_UP_TOKENS)
