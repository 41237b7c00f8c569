"""Whom a figure is compared with: rivals whose weights have the same width, round by round."""

from pathlib import Path

import pytest

from benchmarks.cases import CASES, QUICK
from benchmarks.goals import BANDWIDTH, HTTP_COST, ONE_STREAM, OVER_HTTP, PREFILL, outcomes
from benchmarks.load import About, Run, Stream
from benchmarks.measure import Measured, Turn, plan
from benchmarks.models import BenchmarkModel
from benchmarks.results import Results


def _run(rate: float, *, wait: float = 1.0, num_streams: int = 1) -> Run:
    """Every stream waits, then writes two more tokens at `rate` tokens per second for all."""
    gap = num_streams / rate
    stream = Stream(submitted=0.0, moments=(wait, wait + gap, wait + 2 * gap), token_ids=(1, 2, 3))
    return Run(streams=(stream,) * num_streams, peak_bytes=None)


def _results(runs: dict[Turn, list[Run]]) -> Results:
    measured = Measured(BenchmarkModel("gpt2", "a shape", Path()), QUICK, bandwidths=[100.0])
    measured.runs.update(runs)
    for turn in runs:
        measured.abouts[turn.contender] = About(detail="", weight_bytes=1)
    return Results(measured)


def _values(results: Results) -> dict[tuple[str, str], float]:
    return {(o.goal.title, o.contender): o.value for o in outcomes([results])}


def test_one_stream_is_held_against_the_best_rival_of_its_width() -> None:
    values = _values(
        _results(
            {
                Turn("one", "penstock-int8"): [_run(60)],
                Turn("one", "openvino-int8"): [_run(30)],
                Turn("one", "ctranslate2-int8"): [_run(20)],
                Turn("one", "openvino-int4"): [_run(600)],
            }
        )
    )

    assert values[ONE_STREAM.title, "penstock-int8"] == pytest.approx(2)
    assert values[BANDWIDTH.title, "penstock-int8"] == pytest.approx(0.6)


def test_a_width_without_rivals_has_no_ratio() -> None:
    turns = {Turn("one", "penstock-int4"): [_run(60)], Turn("one", "openvino-int8"): [_run(30)]}

    assert (ONE_STREAM.title, "penstock-int4") not in _values(_results(turns))


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    ours, theirs = Turn("one", "penstock-int8"), Turn("one", "openvino-int8")
    results = _results(
        {ours: [_run(10), _run(40), _run(90)], theirs: [_run(10), _run(20), _run(10)]}
    )

    assert results.decode_ratio(ours, theirs) == pytest.approx(2)  # of 1, 2 and 9


def test_http_is_held_against_rivals_bare_engines_and_our_own() -> None:
    values = _values(
        _results(
            {
                Turn("together", "penstock-http-int8"): [_run(90, num_streams=16)],
                Turn("together", "penstock-int8"): [_run(100, num_streams=16)],
                Turn("together", "openvino-int8"): [_run(45, num_streams=16)],
            }
        )
    )

    assert values[OVER_HTTP.title, "penstock-http-int8"] == pytest.approx(2)
    assert values[HTTP_COST.title, "penstock-http-int8"] == pytest.approx(0.9)


def test_prompts_are_held_against_the_fastest_reader_not_the_fastest_writer() -> None:
    reader, writer = [_run(1, wait=2.0)], [_run(100, wait=8.0)]
    results = _results(
        {
            Turn("prefill", "penstock-int8"): [_run(50, wait=1.0)],
            Turn("prefill", "openvino-int8"): reader,
            Turn("prefill", "ctranslate2-int8"): writer,
        }
    )

    assert _values(results)[PREFILL.title, "penstock-int8"] == pytest.approx(2)
    assert results.prompt_rate("prefill", "penstock-int8") == 512


def test_only_chosen_cases_are_run_and_only_by_those_who_can() -> None:
    turns = plan(["penstock-int8", "openvino-int8"], ["one", "staggered"])

    assert turns == [
        Turn("one", "penstock-int8"),
        Turn("one", "openvino-int8"),
        Turn("staggered", "penstock-int8"),
    ]
    assert len(plan(["penstock-int8"])) == len(CASES)
