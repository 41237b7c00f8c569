"""From engine outputs to the choices of `/v1/completions`. Pure; knows no HTTP and no engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.api.openai import logprobs as shown
from penstock.api.openai.logprobs import LogprobTrack, Placed
from penstock.api.openai.presenting import reason_of, usage
from penstock.types import (
    ChosenLogprob,
    EngineOutput,
    PromptScored,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    TokensAdded,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CompletionForm:
    """What of the texts is shown: `prompts` are empty but where they are echoed."""

    prompts: Sequence[str]
    num_choices: int  # per prompt
    with_logprobs: bool
    with_prompt_logprobs: bool


class CompletionPresenter:
    """Follows the outputs of a completion request, one or several prompts of one or more texts."""

    def __init__(self, form: CompletionForm) -> None:
        self._form = form
        self._tracks: dict[tuple[int, int], LogprobTrack] = {}
        self._prompt_logprobs: dict[int, dict[str, Any]] = {}
        self._finished: dict[int, list[SequenceFinished]] = {}
        self._ends: list[RequestFinished] = []

    def chunks(self, number: int, output: EngineOutput) -> list[dict[str, Any]]:
        match output:
            case RequestStarted():
                wait = self._form.with_prompt_logprobs
                return [] if wait else self._echo(number, None)
            case PromptScored():
                scored = shown.legacy_prompt(output, self._form.prompts[number])
                self._prompt_logprobs[number] = scored
                return self._echo(number, scored)
            case TokensAdded():
                placed = self._track(number, output.index).push(output.text, output.logprobs)
                if not (output.text or placed):
                    return []
                return [
                    self._chunk(number, output.index, output.text, self._logprobs(number, placed))
                ]
            case SequenceFinished():
                self._finished.setdefault(number, []).append(output)
                track = self._track(number, output.index)
                placed = [*track.push("", _ending(output)), *track.finish()]
                logprobs = self._logprobs(number, placed) if placed else None
                chunk = self._chunk(number, output.index, "", logprobs)
                return [chunk | _end(output)]
            case RequestFinished():
                self._ends.append(output)
        return []

    def answer(self) -> dict[str, Any]:
        choices = [
            self._choice(number, index, sequence)
            for number in sorted(self._finished)
            for index, sequence in enumerate(self._best(number))
        ]
        return {"choices": choices, "usage": usage(self._ends)}

    def _best(self, number: int) -> list[SequenceFinished]:
        """The texts to return: those with the best mean log-probability if there are more."""
        texts = sorted(self._finished[number], key=lambda sequence: sequence.index)
        if len(texts) > self._form.num_choices:
            texts.sort(key=lambda sequence: -shown.mean(sequence.logprobs))
        return texts[: self._form.num_choices]

    def _choice(self, number: int, index: int, sequence: SequenceFinished) -> dict[str, Any]:
        track = LogprobTrack()
        scored = (*sequence.logprobs, *_ending(sequence))
        placed = [*track.push(sequence.text, scored), *track.finish()]
        logprobs = self._logprobs(number, placed)
        if logprobs is not None:
            logprobs = shown.joined(self._prompt_logprobs.get(number), logprobs)
        text = self._form.prompts[number] + sequence.text
        choice = self._chunk(number, index, text, logprobs)
        return choice | _end(sequence)

    def _echo(self, number: int, logprobs: dict[str, Any] | None) -> list[dict[str, Any]]:
        prompt = self._form.prompts[number]
        if not prompt:
            return []
        return [
            self._chunk(number, index, prompt, logprobs) for index in range(self._form.num_choices)
        ]

    def _chunk(
        self, number: int, index: int, text: str, logprobs: dict[str, Any] | None
    ) -> dict[str, Any]:
        return {
            "text": text,
            "index": number * self._form.num_choices + index,
            "logprobs": logprobs,
            "finish_reason": None,
        }

    def _logprobs(self, number: int, placed: Sequence[Placed]) -> dict[str, Any] | None:
        if not self._form.with_logprobs:
            return None
        return shown.legacy(placed, start=len(self._form.prompts[number]))

    def _track(self, number: int, index: int) -> LogprobTrack:
        return self._tracks.setdefault((number, index), LogprobTrack())


def _end(sequence: SequenceFinished) -> dict[str, Any]:
    return {"finish_reason": reason_of(sequence), **missing_words(sequence)}


def _ending(sequence: SequenceFinished) -> tuple[ChosenLogprob, ...]:
    """The choice of the token that ended the text, where it is not among the text's own."""
    return () if sequence.ending is None else (sequence.ending,)
