"""Two tasks for lm-evaluation-harness made from stories: perplexity, and which sentence is next."""

import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

NUM_DOCUMENTS = 24
NUM_CHOICES = 4
MOST_CHARACTERS = 700  # of a document, so that it fits every model's context
PERPLEXITY = "stories_perplexity"
CHOICE = "stories_choice"

PERPLEXITY_TASK = f"""\
task: {PERPLEXITY}
dataset_path: json
dataset_kwargs: {{data_files: {{test: FOLDER/perplexity.jsonl}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list: [{{metric: word_perplexity}}, {{metric: byte_perplexity}}]
"""
CHOICE_TASK = f"""\
task: {CHOICE}
dataset_path: json
dataset_kwargs: {{data_files: {{test: FOLDER/choice.jsonl}}}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
target_delimiter: " "
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
"""


def write_tasks(stories: Path, folder: Path) -> tuple[str, str]:
    """Write both tasks and their documents into the folder; their names."""
    texts = [json.loads(line)["text"] for line in stories.read_text().splitlines()[:200]]
    chance = random.Random(7)
    chosen = [text for text in texts if len(sentences(text)) > 4][:NUM_DOCUMENTS]
    whole = [{"text": " ".join(sentences(text))[:MOST_CHARACTERS]} for text in chosen]
    _write(folder / "perplexity.jsonl", whole)
    _write(folder / "choice.jsonl", [_question(text, chosen, chance) for text in chosen])
    (folder / f"{PERPLEXITY}.yaml").write_text(PERPLEXITY_TASK.replace("FOLDER", str(folder)))
    (folder / f"{CHOICE}.yaml").write_text(CHOICE_TASK.replace("FOLDER", str(folder)))
    return PERPLEXITY, CHOICE


def sentences(text: str) -> list[str]:
    """The sentences of a text, roughly."""
    return [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]


def _question(text: str, others: Sequence[str], chance: random.Random) -> dict[str, object]:
    """Three sentences, and which of four comes next."""
    parts = sentences(text)
    wrong = [chance.choice(sentences(other)) for other in chance.sample(others, NUM_CHOICES)]
    choices = [parts[3], *[w for w in wrong if w != parts[3]][: NUM_CHOICES - 1]]
    chance.shuffle(choices)
    return {
        "context": " ".join(parts[:3])[-MOST_CHARACTERS:],
        "choices": [choice[:200] for choice in choices],
        "label": choices.index(parts[3]),
    }


def _write(path: Path, rows: Sequence[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
