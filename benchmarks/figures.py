"""From runs to figures: rates, waits and gaps, each defined here and nowhere else. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from benchmarks.load import Run, Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The rounds of one contender on one load. Seconds, bytes and tokens per second."""

    decode_rate: float  # while all streams write: none still reads, none has ended
    spread: float  # of the decode rates: half of highest minus lowest, over the median
    overall_rate: float  # all tokens over all of the time, prompts included
    first_token_p50: float
    first_token_p95: float
    last_arrival_first_token: float  # of the stream that came last
    gap_p50: float
    gap_p99: float
    peak_bytes: int | None


def figures(runs: Sequence[Run]) -> Figures:
    """Rates are medians of rounds; waits and gaps are percentiles of all streams of all rounds."""
    rates = _known([decode_rate(run.streams) for run in runs])
    waits = [wait for run in runs for wait in map(first_token_seconds, run.streams)]
    gaps = [gap for run in runs for stream in run.streams for gap in _gaps(stream)]
    peaks = [run.peak_bytes for run in runs if run.peak_bytes is not None]
    return Figures(
        decode_rate=median(rates),
        spread=(max(rates) - min(rates)) / 2 / median(rates),
        overall_rate=median(_overall_rate(run.streams) for run in runs),
        first_token_p50=percentile(waits, 50),
        first_token_p95=percentile(waits, 95),
        last_arrival_first_token=median(first_token_seconds(run.streams[-1]) for run in runs),
        gap_p50=percentile(gaps, 50),
        gap_p99=percentile(gaps, 99),
        peak_bytes=max(peaks, default=None),
    )


def first_token_seconds(stream: Stream) -> float:
    return stream.moments[0] - stream.submitted


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of all values do not exceed."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(len(ranked) * percent / 100) - 1)]


def decode_rate(streams: Sequence[Stream]) -> float:
    """Tokens per second while all streams write; not a number where they never all did."""
    start = max(stream.moments[0] for stream in streams)
    end = min(stream.moments[-1] for stream in streams)
    if end <= start:  # few tokens that became visible together, or a start too slow for so few
        return math.nan
    written = sum(start < moment <= end for stream in streams for moment in stream.moments)
    return written / (end - start)


def _known(rates: Sequence[float]) -> Sequence[float]:
    """Those that are numbers, if any is."""
    return [rate for rate in rates if not math.isnan(rate)] or [math.nan]


def _overall_rate(streams: Sequence[Stream]) -> float:
    start = min(stream.submitted for stream in streams)
    end = max(stream.moments[-1] for stream in streams)
    return sum(len(stream.moments) for stream in streams) / (end - start)


def _gaps(stream: Stream) -> list[float]:
    return [later - earlier for earlier, later in pairwise(stream.moments)]
