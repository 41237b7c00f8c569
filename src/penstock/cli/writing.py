"""Writes a text in the terminal, with the engine in this process.

The question and the answer are the API's own, so both mean the same here and over HTTP.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from penstock.api.building import build_services, patient_loading_options
from penstock.api.playground.answers import GenerateAnswer
from penstock.api.playground.asking import Asked, understand
from penstock.api.playground.generate import open_generation
from penstock.api.playground.presenting import Presenter
from penstock.api.playground.schemas import GenerateBody
from penstock.api.problems import explain
from penstock.api.services import Services
from penstock.cli.assignments import find_strategy, parse_assignments
from penstock.cli.terminal import tell
from penstock.decoding.strategies import DEFAULT_STRATEGY
from penstock.serving.local_models import LocalModels
from penstock.settings import load_settings
from penstock.types import EngineOutput, RequestStarted, TokensAdded

Show = Callable[[EngineOutput], None]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, and what answers it."""

    services: Services
    asked: Asked


def ask(
    prompt: str,
    assignments: Sequence[str],
    flags: Mapping[str, Any],
    given_settings: Mapping[str, Any],
) -> Question:
    """The question as the server would understand it. Flags win over assignments.

    `given_settings` are those that were given on the command line, by dotted name.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    strategy = find_strategy(given.get("strategy", DEFAULT_STRATEGY))
    body = body_of(prompt, parse_assignments(assignments, strategy) | given)
    settings = load_settings(given_settings)
    services = build_services(
        settings, LocalModels([settings.model], patient_loading_options(settings))
    )
    return Question(services, understand(prompt, body, services.defaults))


def write(question: Question, show: Show = lambda output: None) -> GenerateAnswer:
    """Generate; `show` sees each output as it comes."""
    return asyncio.run(_write(question.services, question.asked, show))


def print_text(question: Question) -> None:
    """Print the first text as it is written, then the others, and tell how it went."""
    prompt = question.asked.prompt

    def show(output: EngineOutput) -> None:
        if isinstance(output, RequestStarted):
            print(prompt, end="", flush=True)
        elif isinstance(output, TokensAdded) and output.index == 0:
            print(output.text, end="", flush=True)

    answer = write(question, show)
    print()
    for sequence in answer.sequences[1:]:
        print(f"\n{prompt}{sequence.text}")
    tell(
        f"{answer.model}, {answer.strategy}: {answer.usage.completion_tokens} tokens at "
        f"{answer.timings.tokens_per_second:.0f} tokens/s, seed {answer.seed}"
    )


def body_of(prompt: str, fields: Mapping[str, Any]) -> GenerateBody:
    """The body that the server would be sent, checked as it would be there."""
    try:
        return GenerateBody(prompt=prompt, **fields)
    except ValidationError as error:
        raise explain(error.errors()[0]) from None


async def _write(services: Services, asked: Asked, show: Show) -> GenerateAnswer:
    """Being cancelled closes the outputs, which ends the request."""
    try:
        generation = await open_generation(services, asked)
        presenter = Presenter(asked, generation)
        try:
            async for output in generation.outputs:
                presenter.event(output)
                show(output)
        finally:
            generation.outputs.close()
    finally:
        await services.lifecycle.close()
    return presenter.answer()
