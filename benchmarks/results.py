"""The runs on one model, asked for figures. Knows no goal and no table."""

from dataclasses import dataclass
from statistics import median

from benchmarks.contenders import CONTENDERS
from benchmarks.figures import Figures, figures
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

    def about(self, contender: str) -> About:
        return self.measured.abouts[contender]

    def has(self, case: str, contender: str) -> bool:
        return Turn(case, contender) in self.measured.runs

    def figures(self, case: str, contender: str) -> Figures:
        return figures(self.measured.runs[Turn(case, contender)])

    def best_rival_rate(self, case: str) -> float | None:
        """The highest decode rate of those that are not ours."""
        rivals = [name for name in self.contenders if not CONTENDERS[name].is_ours]
        rates = [self.figures(case, name).decode_rate for name in rivals if self.has(case, name)]
        return max(rates, default=None)

    def prompt_rate(self, case: str, contender: str) -> float:
        """Prompt tokens per second until every stream of a load that came at once has begun."""
        runs = self.measured.runs[Turn(case, contender)]
        num_tokens = self.measured.size.prompt_tokens * len(runs[0].streams)
        return num_tokens / median(
            max(s.moments[0] for s in run.streams) - run.streams[0].submitted for run in runs
        )

    def bandwidth_share(self, contender: str) -> float | None:
        """How much of the memory bandwidth one stream's reading of the weights takes up."""
        num_bytes = self.about(contender).weight_bytes
        if num_bytes is None:
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
