"""Visible steps that shorten a finished text; knows no model. Each keeps the text it was given."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from penstock.errors import InvalidParameter

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Step:
    """One step by name, with the number that follows its colon if it takes one."""

    name: str
    limit: int | None = None

    def __str__(self) -> str:
        return self.name if self.limit is None else f"{self.name}:{self.limit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AppliedStep:
    """A step with the text before and after it; `before` undoes it."""

    step: Step
    before: str
    after: str

    @property
    def num_removed(self) -> int:
        """How many characters the step took away."""
        return len(self.before) - len(self.after)


def strip_prompt(text: str, prompt: str) -> str:
    """Remove the prompt from the start of the text."""
    return text.removeprefix(prompt)


def drop_repeated_lines(text: str) -> str:
    """Keep the first of equal lines, spaces at their ends aside; empty lines stay."""
    seen: set[str] = set()
    kept = []
    for line in text.splitlines(keepends=True):
        content = line.strip()
        if content not in seen or not content:
            kept.append(line)
        seen.add(content)
    return "".join(kept)


def limit_words(text: str, limit: int) -> str:
    """Cut the text after `limit` words."""
    for number, word in enumerate(_WORD.finditer(text), start=1):
        if number == limit:
            return text[: word.end()]
    return text


_RUN: Mapping[str, Callable[[str, str, Step], str]] = {
    "strip_prompt": lambda text, prompt, step: strip_prompt(text, prompt),
    "drop_repeated_lines": lambda text, prompt, step: drop_repeated_lines(text),
    "limit_words": lambda text, prompt, step: limit_words(text, step.limit or 0),
}
_WITH_LIMIT = {"limit_words"}
STEP_FORMS = tuple(f"{name}:N" if name in _WITH_LIMIT else name for name in _RUN)


def parse_step(text: str) -> Step:
    """Read a step as a request writes it: `strip_prompt`, `limit_words:200`."""
    name, colon, number = text.partition(":")
    if name in _RUN and name not in _WITH_LIMIT and not colon:
        return Step(name)
    if name in _WITH_LIMIT and re.fullmatch(r"[1-9][0-9]{0,8}", number):
        return Step(name, int(number))
    raise InvalidParameter(
        f"postprocess={text[:100]!r} is not a step.",
        f"Use {', '.join(STEP_FORMS)}; N is a whole number from 1 on.",
        param="postprocess",
    )


def apply_steps(steps: Sequence[Step], text: str, prompt: str) -> list[AppliedStep]:
    """Run the steps in order, each on what the one before it left."""
    applied = []
    for step in steps:
        after = _RUN[step.name](text, prompt, step)
        applied.append(AppliedStep(step=step, before=text, after=after))
        text = after
    return applied
