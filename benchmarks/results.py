"""The runs on one model, asked for figures. Knows no goal and no table."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan, nan
from statistics import median

from benchmarks.cases import CASES
from benchmarks.contenders import CONTENDERS
from benchmarks.contenders.interface import Width
from benchmarks.figures import Figures, decode_rate, figures
from benchmarks.load import About
from benchmarks.measure import Measured, Turn
from benchmarks.models import BUILT_IN_ID
from benchmarks.server_process import Start

REFERENCE = "transformers-float32"  # whose tokens a greedy fp32 contender should repeat


@dataclass(frozen=True, slots=True)
class Results:
    """What was measured on one model."""

    measured: Measured

    @property
    def model_id(self) -> str:
        return self.measured.model.id

    @property
    def is_built_in(self) -> bool:
        return self.model_id == BUILT_IN_ID

    @property
    def contenders(self) -> list[str]:
        return list(self.measured.abouts)

    @property
    def starts(self) -> list[Start]:
        return self.measured.starts

    @property
    def bandwidth(self) -> float:
        """Bytes per second of reading memory: the best round, as a limit should be."""
        return max(self.measured.bandwidths)

    @property
    def peaks(self) -> dict[str, float]:
        """Multiplications and additions per second by format: the best round."""
        return {name: max(rates) for name, rates in self.measured.peaks.items()}

    def about(self, contender: str) -> About:
        return self.measured.abouts[contender]

    def has(self, case: str, contender: str) -> bool:
        return Turn(case, contender) in self.measured.runs

    def figures(self, case: str, contender: str) -> Figures:
        return figures(self.measured.runs[Turn(case, contender)])

    def rivals(self, case: str, width: Width) -> list[str]:
        """Those that are not ours, keep their weights in `width` and ran `case`."""
        return [
            name
            for name in self.contenders
            if not CONTENDERS[name].is_ours
            and CONTENDERS[name].width == width
            and self.has(case, name)
        ]

    def best_rival(self, case: str, width: Width) -> str | None:
        """The rival of that width with the highest decode rate."""
        return max(
            self.rivals(case, width),
            key=lambda name: self.figures(case, name).decode_rate,
            default=None,
        )

    def best_reader(self, case: str, width: Width) -> str | None:
        """The rival of that width that reads prompts fastest."""
        return max(
            self.rivals(case, width), key=lambda name: self.prompt_rate(case, name), default=None
        )

    def decode_ratio(self, turn: Turn, other: Turn) -> float:
        """How many times as fast `turn` decodes: the median over the rounds."""
        return _median_ratio(self._rates(turn), self._rates(other))

    def prompt_ratio(self, turn: Turn, other: Turn) -> float:
        """How many times as fast `turn` reads its prompts: the median over the rounds."""
        return _median_ratio(self._prompt_rates(turn), self._prompt_rates(other))

    def prompt_rate(self, case: str, contender: str) -> float:
        """Prompt tokens per second until every stream of a load that came at once has begun."""
        return median(self._prompt_rates(Turn(case, contender)))

    def _rates(self, turn: Turn) -> list[float]:
        return [decode_rate(run.streams) for run in self.measured.runs[turn]]

    def _prompt_rates(self, turn: Turn) -> list[float]:
        prompt_tokens = CASES[turn.case].prompt_tokens(self.measured.size)
        return [
            prompt_tokens
            * len(run.streams)
            / (max(s.moments[0] for s in run.streams) - run.streams[0].submitted)
            for run in self.measured.runs[turn]
        ]

    def bandwidth_share(self, contender: str) -> float | None:
        """How much of the memory bandwidth one stream's reading of the weights takes up."""
        num_bytes = self.about(contender).weight_bytes
        if num_bytes is None or not self.has("one", contender):
            return None
        return num_bytes * self.figures("one", contender).decode_rate / self.bandwidth

    def peak_bytes(self, contender: str) -> int | None:
        runs = [
            run
            for t, runs in self.measured.runs.items()
            if t.contender == contender
            for run in runs
        ]
        return max((run.peak_bytes for run in runs if run.peak_bytes is not None), default=None)

    def equal_streams(self, contender: str) -> tuple[int, int] | None:
        """How many of the streams that came at once agree with the reference, of how many."""
        turns = Turn("together", contender), Turn("together", REFERENCE)
        if not all(turn in self.measured.runs for turn in turns):
            return None
        mine, theirs = (self.measured.runs[turn][0].streams for turn in turns)
        agree = sum(a.token_ids == b.token_ids for a, b in zip(mine, theirs, strict=True))
        return agree, len(mine)


def _median_ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Of neighbours in time, so that what else the machine did falls on both."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    return median([ratio for ratio in ratios if not isnan(ratio)] or [nan])
