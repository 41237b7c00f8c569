"""From engine outputs to answers and events. Pure; knows no HTTP and no engine."""

from collections.abc import Iterable, Sequence
from typing import Any

from penstock import __version__
from penstock.api.playground import answers
from penstock.api.playground.asking import Asked, reported_parameters
from penstock.api.playground.receipts import receipt_of
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.text.postprocess import AppliedStep, apply_steps
from penstock.types import (
    ChosenLogprob,
    EngineOutput,
    PromptEmbedded,
    PromptScored,
    RequestFinished,
    RequestStarted,
    SequenceFinished,
    Timings,
    TokenLogprob,
    TokensAdded,
)

LOWEST_LOGPROB = -9999.0  # stands for minus infinity, which JSON lacks


class Presenter:
    """Follows one generation's outputs: an event for each, and the whole answer at the end."""

    def __init__(self, asked: Asked, generation: Generation) -> None:
        self._asked = asked
        self._model: ServedModel = generation.model
        self._rendered_prompt = generation.request.prompt
        self._started: RequestStarted | None = None
        self._finished: dict[int, SequenceFinished] = {}
        self._end: RequestFinished | None = None

    def event(self, output: EngineOutput) -> dict[str, Any]:
        """Take note of an output; the event that tells the client of it."""
        match output:
            case RequestStarted():
                self._started = output
                return self._start_event(output)
            case PromptScored():
                return {
                    "event": "prompt",
                    "logprobs": [_chosen(c).model_dump() for c in output.logprobs],
                }
            case PromptEmbedded():
                return {"event": "embedding", "values": list(output.values)}
            case TokensAdded():
                return _token_event(output)
            case SequenceFinished():
                self._finished[output.index] = output
                return _finish_event(output)
            case RequestFinished():
                self._end = output
                if output.error is not None:
                    raise output.error
                return {"event": "done", **self.answer().model_dump()}

    def answer(self) -> answers.GenerateAnswer:
        """The whole answer, once the last output was seen."""
        assert self._started is not None and self._end is not None
        sequences = [self._finished[index] for index in sorted(self._finished)]
        steps = self._postprocess(sequences)
        whole = self._opening + sequences[0].text if sequences else self._opening
        return answers.GenerateAnswer(
            **self._heading(self._started),
            generated_text=steps[-1].after if steps else whole,
            prompt=self._asked.prompt,
            sequences=[_sequence(s, reports=self._reports_tokens) for s in sequences],
            postprocess=[_step(step) for step in steps],
            usage=_usage(self._end),
            timings=_timings(self._end),
            receipt=self._receipt(self._started),
        )

    @property
    def _opening(self) -> str:
        """What the text goes on from."""
        return self._asked.prompt if self._model.continues_prompt else ""

    @property
    def _reports_tokens(self) -> bool:
        return self._asked.fields.logprobs is not None or self._asked.fields.trace is not None

    def _start_event(self, started: RequestStarted) -> dict[str, Any]:
        return {
            "event": "start",
            **self._heading(started),
            "usage": {"prompt_tokens": started.num_prompt_tokens},
            "num_sequences": started.num_sequences,
        }

    def _heading(self, started: RequestStarted) -> dict[str, Any]:
        asked = self._asked
        return {
            "id": asked.request_id,
            "model": self._model.id,
            **({} if asked.fields.adapter is None else {"adapter": asked.fields.adapter}),
            "continues_prompt": self._model.continues_prompt,
            "strategy": asked.strategy.id,
            "parameters": reported_parameters(asked, started.max_new_tokens),
            "unused_parameters": list(asked.unused),
            "seed": started.seed,
            "rendered_prompt": self._rendered_prompt,
        }

    def _postprocess(self, sequences: Sequence[SequenceFinished]) -> list[AppliedStep]:
        if not sequences:
            return []
        whole = self._opening + sequences[0].text
        return list(apply_steps(self._asked.steps, whole, self._asked.prompt))

    def _receipt(self, started: RequestStarted) -> str:
        asked, digest = self._asked, started.adapter_digest
        with_adapter = {} if digest is None else {"adapter": [asked.fields.adapter, digest]}
        return receipt_of(
            **with_adapter,
            penstock=__version__,
            model=self._model.id,
            weights=self._model.weights_digest,
            dtype=self._model.dtype,
            prompt=self._rendered_prompt,
            strategy=asked.strategy.id,
            params=asked.params,
            num_sequences=started.num_sequences,
            max_new_tokens=started.max_new_tokens,
            min_new_tokens=asked.fields.min_new_tokens or 0,
            stop=asked.fields.stop or [],
            seed=started.seed,
        )


def _token_event(output: TokensAdded) -> dict[str, Any]:
    event: dict[str, Any] = {
        "event": "token",
        "index": output.index,
        "text": output.text,
        "token_ids": output.token_ids,
    }
    if output.logprobs:
        event["logprobs"] = [_chosen(c).model_dump() for c in output.logprobs]
    return event


def _finish_event(output: SequenceFinished) -> dict[str, Any]:
    return {
        "event": "finish",
        "index": output.index,
        "finish_reason": output.finish_reason.value,
        "tokens": len(output.token_ids),
        "score": output.score,
        "text": output.text,
    }


def _sequence(sequence: SequenceFinished, *, reports: bool) -> answers.SequenceAnswer:
    return answers.SequenceAnswer(
        text=sequence.text,
        finish_reason=sequence.finish_reason.value,
        tokens=len(sequence.token_ids),
        score=sequence.score,
        logprobs=[_chosen(c) for c in sequence.logprobs] if reports else None,
    )


def _chosen(logprob: ChosenLogprob) -> answers.ChosenTokenAnswer:
    return answers.ChosenTokenAnswer(
        **token_answer(logprob.chosen).model_dump(),
        top=_tokens(logprob.top),
        stages=stages(logprob) or None,
    )


def stages(logprob: ChosenLogprob) -> list[answers.StageAnswer]:
    """What each step of the chain did at this token, if that was asked for."""
    return [
        answers.StageAnswer(
            name=stage.name,
            num_kept=stage.num_kept,
            mass_kept=stage.mass_kept,
            entropy_bits=stage.entropy_bits,
            top=_tokens(stage.top),
        )
        for stage in logprob.stages
    ]


def _tokens(tokens: Iterable[TokenLogprob]) -> list[answers.TokenAnswer]:
    return [token_answer(token) for token in tokens]


def token_answer(token: TokenLogprob) -> answers.TokenAnswer:
    """A token with its log-probability, as the wire has it."""
    logprob = max(token.logprob, LOWEST_LOGPROB)
    return answers.TokenAnswer(token=token.token, token_id=token.token_id, logprob=logprob)


def _step(step: AppliedStep) -> answers.StepAnswer:
    return answers.StepAnswer(
        step=str(step.step), removed=step.num_removed, before=step.before, after=step.after
    )


def _usage(end: RequestFinished) -> answers.UsageAnswer:
    return answers.UsageAnswer(
        prompt_tokens=end.num_prompt_tokens,
        completion_tokens=end.num_completion_tokens,
        total_tokens=end.num_prompt_tokens + end.num_completion_tokens,
    )


def _timings(end: RequestFinished) -> answers.TimingsAnswer:
    timings = end.timings
    return answers.TimingsAnswer(
        queue_ms=_milliseconds(timings.queue_seconds),
        prompt_ms=_milliseconds(timings.prompt_seconds),
        first_token_ms=_milliseconds(timings.first_token_seconds),
        generation_ms=_milliseconds(timings.generation_seconds),
        tokens_per_second=_rate(end.num_completion_tokens, timings),
    )


def _rate(num_tokens: int, timings: Timings) -> float:
    """Tokens per second from the first planning on, so that waiting does not count."""
    seconds = timings.first_token_seconds - timings.queue_seconds + timings.generation_seconds
    return round(num_tokens / seconds, 1) if seconds > 0 else 0.0


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
