"""What a run measured is kept in a file of which the same report can be made."""

from pathlib import Path

from benchmarks.cases import QUICK
from benchmarks.kept_runs import KeptRun, load_kept_run
from benchmarks.load import About, Run, Stream
from benchmarks.machine import Machine
from benchmarks.measure import Measured, Turn
from benchmarks.models import BenchmarkModel
from benchmarks.report import as_json, markdown
from benchmarks.results import Results
from benchmarks.server_process import Start

MACHINE = Machine(
    processor="a processor",
    cores=2,
    instruction_sets=("avx2",),
    system="Linux x86_64",
    python="3.11",
    versions={"torch": "2"},
    busy_share=0.25,
)


def test_a_kept_run_makes_the_report_of_the_run_itself(tmp_path: Path) -> None:
    measured = Measured(BenchmarkModel("gpt2", "a shape", tmp_path), QUICK, bandwidths=[1e10, 2e10])
    stream = Stream(submitted=0.5, moments=(1.0, 1.25, 1.75), token_ids=(7, 8, 9))
    for name in ("penstock-int8", "openvino-int8"):
        measured.abouts[name] = About(detail="an engine", weight_bytes=100)
        for case in ("one", "together"):
            runs = [Run(streams=(stream, stream), peak_bytes=5_000_000)] * 2
            measured.runs[Turn(case, name)] = runs
    measured.peaks["float32"] = [1e11]
    measured.starts.append(Start(ready_seconds=1.5, ready_bytes=None))
    run = KeptRun("2026-01-01", MACHINE, QUICK, [measured])

    run.save(tmp_path / "runs.json")
    kept = load_kept_run(tmp_path / "runs.json")

    assert _reports(kept) == _reports(run)
    assert kept == run


def _reports(run: KeptRun) -> tuple[str, object]:
    results = [Results(measured) for measured in run.models]
    parts = run.machine, run.size, results
    return markdown(*parts), as_json(*parts, run.date)
