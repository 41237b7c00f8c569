"""From engine outputs to answers and events. Pure; knows no HTTP and no engine."""

from collections.abc import Iterable, Sequence
from typing import Any

from penstock.api.missing_words import missing_words
from penstock.api.playground import answers
from penstock.api.playground.advice import loop_answer
from penstock.api.playground.asking import Asked, reported_parameters
from penstock.api.receipts.receipt import Receipt, ReceiptMaker
from penstock.evaluation.loops import find_loop
from penstock.serving.models import ServedModel
from penstock.serving.router import Generation
from penstock.text.postprocess import AppliedStep, apply_steps
from penstock.types import (
    ChosenLogprob,
    EngineOutput,
    PromptEmbedded,
    PromptScored,
    RequestFinished,
    RequestQueued,
    RequestStarted,
    SequenceFinished,
    Timings,
    TokenLogprob,
    TokensAdded,
    TreeGrown,
    TreeNode,
)

LOWEST_LOGPROB = -9999.0  # stands for minus infinity, which JSON lacks


class Presenter:
    """Follows one generation's outputs: an event for each, and the whole answer at the end."""

    def __init__(self, asked: Asked, generation: Generation) -> None:
        self._asked = asked
        self._model: ServedModel = generation.model
        request = generation.request
        is_plain = isinstance(request.prompt, str) and not request.prefix
        self._rendered_prompt = request.prompt if is_plain else asked.prompt
        self._is_cached = generation.is_cached
        self._receipt = ReceiptMaker(
            generation.request, generation.model, is_cached=generation.is_cached
        )
        self._started: RequestStarted | None = None
        self._finished: dict[int, SequenceFinished] = {}
        self._tree: list[answers.TreeStepAnswer] = []
        self._end: RequestFinished | None = None

    def event(self, output: EngineOutput) -> dict[str, Any]:
        """Take note of an output; the event that tells the client of it."""
        self._receipt.take(output)
        match output:
            case RequestStarted():
                self._started = output
                return self._start_event(output)
            case SequenceFinished():
                self._finished[output.index] = output
                return self._finish_event(output)
            case RequestFinished():
                self._end = output
                if output.error is not None:
                    raise output.error
                return {"event": "done", **self.answer().model_dump()}
            case TreeGrown():
                self._tree.append(_tree_step(output))
                return {"event": "tree", **self._tree[-1].model_dump()}
        return _event(output)

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
            sequences=[self._sequence(s) for s in sequences],
            postprocess=[_step(step) for step in steps],
            usage=_usage(self._end),
            timings=_timings(self._end),
            receipt=self.receipt.receipt,
            cached=self._is_cached,
            beam_tree=self._tree or None,
        )

    @property
    def receipt(self) -> Receipt:
        """What decided the texts, once the last output was seen."""
        return self._receipt.receipt

    @property
    def _opening(self) -> str:
        """What the text goes on from."""
        return self._asked.prompt if self._model.continues_prompt else ""

    @property
    def _reports_tokens(self) -> bool:
        fields = self._asked.fields
        asked_for = (fields.logprobs, fields.trace, fields.named_tokens)
        return any(asked is not None for asked in asked_for)

    def _finish_event(self, output: SequenceFinished) -> dict[str, Any]:
        loop = self._loop(output)
        event = {
            "event": "finish",
            "index": output.index,
            "finish_reason": output.finish_reason.value,
            "tokens": len(output.token_ids),
            "score": output.score,
            "text": output.text,
        }
        told = {} if loop is None else {"loop": loop.model_dump()}
        return event | told | missing_words(output)

    def _sequence(self, sequence: SequenceFinished) -> answers.SequenceAnswer:
        logprobs = [_chosen(c) for c in sequence.logprobs] if self._reports_tokens else None
        return answers.SequenceAnswer(
            text=sequence.text,
            finish_reason=sequence.finish_reason.value,
            tokens=len(sequence.token_ids),
            score=sequence.score,
            logprobs=logprobs,
            loop=self._loop(sequence),
            missing_words=list(sequence.missing_words),
        )

    def _loop(self, sequence: SequenceFinished) -> answers.LoopAnswer | None:
        loop = find_loop(sequence.token_ids)
        if loop is None:
            return None
        return loop_answer(loop, self._asked.strategy, self._asked.params)

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


def _event(output: RequestQueued | PromptScored | PromptEmbedded | TokensAdded) -> dict[str, Any]:
    """The event of what only passes through."""
    match output:
        case RequestQueued(position=position, estimated_seconds=seconds):
            estimated = None if seconds is None else round(seconds, 1)
            return {"event": "waiting", "position": position, "estimated_seconds": estimated}
        case PromptScored():
            logprobs = [_chosen(c).model_dump() for c in output.logprobs]
            return {"event": "prompt", "logprobs": logprobs}
        case PromptEmbedded():
            return {"event": "embedding", "values": list(output.values)}
        case TokensAdded():
            return _token_event(output)


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


def _chosen(logprob: ChosenLogprob) -> answers.ChosenTokenAnswer:
    return answers.ChosenTokenAnswer(
        **token_answer(logprob.chosen).model_dump(),
        top=_tokens(logprob.top),
        stages=stages(logprob) or None,
        named=_tokens(logprob.named) or None,
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


def _tree_step(grown: TreeGrown) -> answers.TreeStepAnswer:
    return answers.TreeStepAnswer(
        step=grown.step,
        expand=[_node(node) for node in grown.expanded],
        prune=list(grown.pruned),
        finish=[_node(node) for node in grown.finished],
        returned=list(grown.returned),
    )


def _node(node: TreeNode) -> answers.TreeNodeAnswer:
    reason = node.finish_reason
    return answers.TreeNodeAnswer(
        node=node.node,
        parent=node.parent,
        token=node.token,
        token_id=node.token_id,
        score=max(node.score, LOWEST_LOGPROB),
        group=node.group,
        finish_reason=None if reason is None else reason.value,
    )


def _step(step: AppliedStep) -> answers.StepAnswer:
    return answers.StepAnswer(
        step=str(step.step), removed=step.num_removed, before=step.before, after=step.after
    )


def _usage(end: RequestFinished) -> answers.UsageAnswer:
    return answers.UsageAnswer(
        prompt_tokens=end.num_prompt_tokens,
        completion_tokens=end.num_completion_tokens,
        total_tokens=end.num_prompt_tokens + end.num_completion_tokens,
        cached_tokens=end.num_cached_tokens,
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
