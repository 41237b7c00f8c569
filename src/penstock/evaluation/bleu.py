"""How much texts are like one another: BLEU (Papineni et al. 2002) and self-BLEU."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from statistics import fmean

from penstock.evaluation.diversity import ngrams

MAX_SIZE = 4
Units = Sequence[Hashable]


def self_bleu(texts: Sequence[Units]) -> float | None:
    """The mean BLEU of each text against all others: 1 where all are alike (Zhu et al. 2018).

    None where there are not two texts.
    """
    if len(texts) < 2:
        return None
    others = [[*texts[:i], *texts[i + 1 :]] for i in range(len(texts))]
    return fmean(bleu(text, rest) for text, rest in zip(texts, others, strict=True))


def bleu(text: Units, references: Sequence[Units]) -> float:
    """BLEU of one text, 0 to 1, with 1- to 4-grams as far as it is long enough.

    Counts of 0 are smoothed as NIST's mteval does: 1/2, 1/4, … of one match.
    """
    precisions: list[float] = []
    num_missed = 0
    for size in range(1, min(MAX_SIZE, len(text)) + 1):
        matched, total = _matches(text, references, size)
        if matched == 0:
            num_missed += 1
        precisions.append(matched / total if matched else 2.0**-num_missed / total)
    if not precisions or num_missed == len(precisions):
        return 0.0
    mean = math.exp(fmean(math.log(precision) for precision in precisions))
    return mean * _brevity(len(text), [len(reference) for reference in references])


def _matches(text: Units, references: Sequence[Units], size: int) -> tuple[int, int]:
    """How many n-grams some reference has, each as often as one of them, and how many there are."""
    counts = Counter(ngrams(text, size))
    most: Counter[tuple[Hashable, ...]] = Counter()
    for reference in references:
        most |= Counter(ngrams(reference, size))
    return (counts & most).total(), counts.total()


def _brevity(length: int, lengths: Sequence[int]) -> float:
    """Less than 1 where the text is shorter than the reference nearest in length."""
    nearest = min(lengths, key=lambda other: (abs(other - length), other))
    return 1.0 if length >= nearest else math.exp(1 - nearest / length)
