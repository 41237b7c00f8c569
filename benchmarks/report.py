"""A run as Markdown for people and as JSON for programs. Computes nothing but ratios."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

from benchmarks.cases import CASES, Size
from benchmarks.contenders import CONTENDERS
from benchmarks.goals import MEGABYTE, Outcome, outcomes
from benchmarks.machine import Machine
from benchmarks.measure import Turn
from benchmarks.results import Results

RIVAL_CASES = {"one": "one", "together": "together", "staggered": "together"}
ABOUT_TIMES = (
    "Both sides ran in turn in one run; rates are medians of the rounds. Only the ratios mean "
    "something elsewhere: the times are this machine's, at this hour."
)


def markdown(machine: Machine, size: Size, all_results: Sequence[Results]) -> str:
    """Ratios and goals first, the figures behind them after."""
    lines = [
        _machine_line(machine),
        "",
        f"{size.rounds} rounds; prompts of {size.prompt_tokens} tokens, {size.new_tokens} new "
        f"tokens, greedy, the end token suppressed; staggered streams arrive "
        f"{size.tokens_between_arrivals} of the first one's tokens apart. {ABOUT_TIMES}",
        "",
        "## Goals",
        "",
        *_goal_table(outcomes(all_results)),
    ]
    for results in all_results:
        lines += ["", f"## {results.measured.model.label}", "", *_ratio_table(results)]
        lines += ["", *_figure_table(results), "", *_footnotes(results)]
    return "\n".join(lines)


def _machine_line(machine: Machine) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    busy = (
        ""
        if machine.busy_share is None
        else f" Others used {machine.busy_share:.0%} of the processors when the run began."
    )
    return (
        f"{machine.processor}, {machine.cores} cores ({', '.join(machine.instruction_sets)}), "
        f"{versions}, Python {machine.python}.{busy}"
    )


def as_json(
    machine: Machine, size: Size, all_results: Sequence[Results], date: str
) -> dict[str, Any]:
    """Everything that was measured, round by round in its figures."""
    return {
        "date": date,
        "machine": asdict(machine),
        "size": asdict(size),
        "goals": [
            {**asdict(o.goal), "model": o.model, "contender": o.contender}
            | {"value": o.value, "is_met": o.is_met}
            for o in outcomes(all_results)
        ],
        "models": [_model_json(results) for results in all_results],
    }


def _goal_table(found: Sequence[Outcome]) -> Iterator[str]:
    columns = list(dict.fromkeys((o.model, o.contender) for o in found))
    heads = [f"{model}, {CONTENDERS[name].short}" for model, name in columns]
    yield _row(["goal", "target", *heads])
    yield _rule(2 + len(columns))
    for goal in dict.fromkeys(o.goal for o in found):
        by_column = {(o.model, o.contender): o for o in found if o.goal == goal}
        yield _row([goal.title, str(goal), *(_outcome(by_column.get(c)) for c in columns)])


def _outcome(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return f"{outcome.value:.2f} {'pass' if outcome.is_met else '**miss**'}"


def _ratio_table(results: Results) -> Iterator[str]:
    """Rates over the best rival's of that width; staggered over the rival's at once."""
    yield _row(
        [
            "decode rate over the best rival's of this width",
            *(CASES[case].title for case in RIVAL_CASES),
        ]
    )
    yield _rule(1 + len(RIVAL_CASES))
    for name in results.contenders:
        cells = [_ratio(results, case, rival, name) for case, rival in RIVAL_CASES.items()]
        yield _row([CONTENDERS[name].label, *cells])


def _ratio(results: Results, case: str, rival_case: str, name: str) -> str:
    best = results.best_rival(rival_case, CONTENDERS[name].width)
    if best is None or not results.has(case, name):
        return ""
    return f"{results.decode_ratio(Turn(case, name), Turn(rival_case, best)):.2f}"


def _figure_table(results: Results) -> Iterator[str]:
    heads = ("decode tok/s", "±", "overall tok/s", "prompt tok/s", "first token p50 / p95, ms")
    yield _row(["case", "contender", *heads, "gap p50 / p99, ms"])
    yield _rule(8, num_words=2)
    for case, entry in CASES.items():
        for name in results.contenders:
            if results.has(case, name):
                yield _row(
                    [entry.title, CONTENDERS[name].label, *_figure_cells(results, case, name)]
                )


def _figure_cells(results: Results, case: str, name: str) -> list[str]:
    f = results.figures(case, name)
    at_once = not CASES[case].needs_arrivals
    return [
        f"{f.decode_rate:.1f}",
        f"{f.spread:.0%}",
        f"{f.overall_rate:.1f}",
        f"{results.prompt_rate(case, name):.0f}" if at_once else "",
        f"{_ms(f.first_token_p50)} / {_ms(f.first_token_p95)}",
        f"{_ms(f.gap_p50)} / {_ms(f.gap_p99)}",
    ]


def _footnotes(results: Results) -> Iterator[str]:
    yield f"Memory is read at {results.bandwidth / 1e9:.1f} GB/s (best round)."
    peaks = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {w}" for w, rate in results.peaks.items())
    yield f"Square matrix products by torch reach {peaks} (best round)."
    if results.starts:
        seconds = median(start.ready_seconds for start in results.starts)
        yield f"The server is ready after {seconds:.2f} s (median of {len(results.starts)})."
    yield ""
    heads = ("peak memory, MB", "1 stream's share of the memory bandwidth", "same tokens", "detail")
    yield _row(["contender", *heads])
    yield _rule(1 + len(heads))
    for name in results.contenders:
        yield _row([CONTENDERS[name].label, *_about_cells(results, name)])


def _about_cells(results: Results, name: str) -> list[str]:
    peak, share = results.peak_bytes(name), results.bandwidth_share(name)
    equal = results.equal_streams(name)
    return [
        "" if peak is None else f"{peak / MEGABYTE:.0f}",
        "" if share is None else f"{share:.0%}",
        "" if equal is None else f"{equal[0]} of {equal[1]}",
        results.about(name).detail,
    ]


def _model_json(results: Results) -> dict[str, Any]:
    return {
        "id": results.model_id,
        "label": results.measured.model.label,
        "bandwidths": results.measured.bandwidths,
        "peaks": results.measured.peaks,
        "starts": [asdict(start) for start in results.starts],
        "contenders": {name: asdict(results.about(name)) for name in results.contenders},
        "figures": [
            {"case": turn.case, "contender": turn.contender}
            | asdict(results.figures(turn.case, turn.contender))
            for turn in results.measured.runs
        ],
    }


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _rule(num_columns: int, *, num_words: int = 1) -> str:
    """The line under a table's head: words to the left, numbers to the right."""
    return _row(["---"] * num_words + ["---:"] * (num_columns - num_words))


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f}"
