"""seq-rep-4 (Welleck et al. 2020): how much of each answer had been said before."""

from penstock.evaluation.diversity import repetition, words_of
from penstock.evaluation.figures import Kind, mean
from penstock.evaluation.tasks.interface import Stage, Task

KIND = Kind(
    name="repetition",
    label="Repetition",
    unit="share of 4-grams, mean over texts",
    better="lower",
)
TASK = Task(
    id="repetition",
    description="Which share of an answer's runs of four words had occurred in it before.",
    stage=Stage.WRITE,
    figures=lambda found: [
        mean(KIND, {t.row: repetition(words_of(t.text)) for t in found.written})
    ],
)
