"""How figures follow from the moments of tokens, and goals from figures, by hand."""

import math

import pytest

from benchmarks.cases import CASES, FULL, QUICK, Size
from benchmarks.figures import figures, percentile
from benchmarks.goals import Goal
from benchmarks.load import Prompt, Run, Stream, load_from, run_from, to_line


def _stream(submitted: float, *moments: float) -> Stream:
    return Stream(submitted=submitted, moments=moments, token_ids=tuple(range(len(moments))))


def _run(*streams: Stream) -> Run:
    return Run(streams=streams, peak_bytes=None)


def test_one_stream_decodes_from_its_first_token_on() -> None:
    found = figures([_run(_stream(1.0, 3.0, 3.5, 4.0))])

    assert found.decode_rate == 2.0  # two tokens in one second
    assert found.overall_rate == 1.0  # three tokens in three seconds
    assert found.first_token_p50 == 2.0
    assert found.gap_p99 == 0.5


def test_staggered_streams_count_only_while_all_of_them_write() -> None:
    early, late = _stream(0.0, 1.0, 2.0, 3.0, 4.0), _stream(0.0, 2.0, 3.0, 4.0, 5.0)

    found = figures([_run(early, late)])

    assert found.decode_rate == 2.0  # from 2 to 4: two streams, a token each second


def test_streams_that_never_write_together_have_no_rate() -> None:
    apart = _run(_stream(0.0, 1.0, 2.0), _stream(0.0, 2.0, 3.0))
    together = _run(_stream(0.0, 1.0, 2.0), _stream(0.0, 1.0, 3.0))

    assert math.isnan(figures([apart]).decode_rate)
    assert figures([apart, together]).decode_rate == 1.0  # the round that has one counts


def test_rates_are_medians_of_rounds_and_the_spread_tells_how_far_they_lie() -> None:
    rounds = [_run(_stream(0.0, 1.0, 1.0 + gap)) for gap in (0.5, 0.25, 1.0)]

    found = figures(rounds)

    assert found.decode_rate == 2.0
    assert found.spread == 0.75  # from 1 to 4, half of it, over 2


@pytest.mark.parametrize(("percent", "value"), [(50, 2), (75, 3), (95, 4), (99, 4)])
def test_a_percentile_is_a_value_that_occurred(percent: float, value: int) -> None:
    assert percentile([4, 1, 3, 2], percent) == value


@pytest.mark.parametrize(
    ("is_upper_limit", "below", "above"), [(True, True, False), (False, False, True)]
)
def test_a_goal_has_a_direction(is_upper_limit: bool, below: bool, above: bool) -> None:
    goal = Goal(title="any", target=3, unit="s", is_upper_limit=is_upper_limit)

    assert (goal.is_met_by(2.9), goal.is_met_by(3.1)) == (below, above)
    assert goal.is_met_by(3)


@pytest.mark.parametrize("size", [FULL, QUICK], ids=["full", "quick"])
@pytest.mark.parametrize("case", CASES)
def test_the_first_stream_still_writes_when_the_last_arrives(case: str, size: Size) -> None:
    arrivals = CASES[case].arrivals(size)

    assert len(arrivals) == CASES[case].num_streams
    assert arrivals[0] == 0
    assert max(arrivals) < size.new_tokens - 4


def test_loads_and_runs_cross_a_pipe_unchanged() -> None:
    prompt = Prompt(token_ids=(1, 2), text="a\nb")
    load = CASES["one"].load((prompt,), QUICK)
    run = _run(_stream(0.5, 1.0, 2.0))

    assert load_from(to_line(load)) == load
    assert run_from(to_line(run)) == run
    assert "\n" not in to_line(load)


def test_tokens_that_become_visible_together_have_no_rate_but_a_wait() -> None:
    found = figures([_run(_stream(0.0, 2.0, 2.0, 2.0))])

    assert math.isnan(found.decode_rate)
    assert found.first_token_p50 == 2.0
