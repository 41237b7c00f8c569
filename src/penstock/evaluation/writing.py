"""The stage that has a model write: an answer to each prompt, all of them in one batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from penstock.evaluation.examples import Example
from penstock.evaluation.progress import Watcher
from penstock.evaluation.subject import Subject
from penstock.types import DecodingParams, GenerationRequest

PROMPT_WORDS = 32  # of a text without a prompt
REFERENCE_WORDS = 64  # of the same text, after them
MARKS = 2  # tokens that a tokenizer may put around a text


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How answers are written. Row `i` is drawn with `seed + i`."""

    max_new_tokens: int = 64
    strategy: str = "greedy"
    params: DecodingParams = field(default_factory=DecodingParams)
    stop: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenText:
    """What a model wrote to one prompt, of which it may have been given the end alone."""

    row: int
    prompt: str
    text: str
    references: tuple[str, ...]
    num_tokens: int
    is_shortened: bool = False


def write_texts(
    subject: Subject, examples: Sequence[Example], writing: Writing, watcher: Watcher
) -> list[WrittenText]:
    """Write an answer to every prompt; a text without one is cut into prompt and reference.

    Of a prompt that leaves no room for the answer, the model is given the end.
    """
    whole = {e.row: e for e in map(with_prompt, examples) if e.prompt}
    asked = {
        row: replace(e, prompt=fitting(subject, e.prompt, writing.max_new_tokens))
        for row, e in whole.items()
    }
    watcher.begin("writing answers", len(asked))
    found: dict[int, WrittenText] = {}
    requests = (_request(subject, example, writing) for example in asked.values())
    for answered in subject.ask(requests):
        row = int(answered.request_id.rpartition("-")[2])
        (written,) = answered.texts
        found[row] = WrittenText(
            row=row,
            prompt=asked[row].prompt,
            text=written.text,
            references=asked[row].references,
            num_tokens=len(written.token_ids),
            is_shortened=asked[row].prompt != whole[row].prompt,
        )
        watcher.done(1, len(written.token_ids))
    return [found[row] for row in sorted(found)]


def with_prompt(example: Example) -> Example:
    """The example as it is, or its text's beginning as the prompt and what follows as the answer.

    A text too short to be cut stays without a prompt.
    """
    words = example.text.split()
    if example.prompt or len(words) <= PROMPT_WORDS:
        return example
    answer = " ".join(words[PROMPT_WORDS : PROMPT_WORDS + REFERENCE_WORDS])
    return Example(row=example.row, prompt=" ".join(words[:PROMPT_WORDS]), references=(answer,))


def fitting(subject: Subject, prompt: str, max_new_tokens: int) -> str:
    """The prompt, or as much of its end, in whole words, as leaves the model room for an answer."""
    room = subject.model.context_length - MARKS
    if subject.model.continues_prompt:
        room -= max_new_tokens
    while room > 0 and (num_tokens := len(subject.tokenize(prompt))) > room:
        num_characters = min(len(prompt) - 1, len(prompt) * room // num_tokens)
        prompt = prompt[len(prompt) - num_characters :]
        _, space, words = prompt.partition(" ")
        prompt = words if space else prompt
    return prompt


def _request(subject: Subject, example: Example, writing: Writing) -> GenerationRequest:
    return GenerationRequest(
        request_id=f"evaluate-write-{example.row}",
        prompt=example.prompt,
        model=subject.model.id,
        adapter=subject.adapter,
        strategy=writing.strategy,
        params=writing.params,
        max_new_tokens=writing.max_new_tokens,
        stop=writing.stop,
        seed=writing.seed + example.row,
    )
