"""From Ollama's options to what the engine is asked. Pure; knows no HTTP."""

from collections.abc import Mapping
from typing import Any

from penstock.api.ollama.fields import OPTION_RULES
from penstock.api.ollama.schemas import Options, Written
from penstock.api.openai.asking import Asked, decide
from penstock.api.openai.fields import refuse_unsupported
from penstock.api.openai.schemas import Choices
from penstock.errors import InvalidParameter, PromptTooLong
from penstock.serving.models import ServedModel

# What Ollama uses where nothing is sent, but for its repetition penalty.
DEFAULTS = {"temperature": 0.8, "top_k": 40, "top_p": 0.9}
NAMES = {"repetition_penalty": "repeat_penalty"}


def ask(
    body: Written, num_prompt: int, model: ServedModel, form: Mapping[str, Any] | None = None
) -> Asked:
    """What is asked with a prompt of so many tokens. Raises `InvalidParameter`."""
    options = body.options or Options()
    refuse_unsupported(options, OPTION_RULES)
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidParameter(
            f"top_logprobs={body.top_logprobs} is set and logprobs is not.",
            "Set logprobs to true, or leave top_logprobs out.",
            param="top_logprobs",
        )
    return decide(
        _choices(options),
        max_new_tokens=_max_new_tokens(options, num_prompt, model),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        stop=tuple(options.stop or ()),
        form=form,
    )


def _choices(options: Options) -> Choices:
    """The options by the catalog's names, with Ollama's defaults where no strategy is named."""
    if options.repeat_penalty is not None and options.repetition_penalty is not None:  # type: ignore[attr-defined]
        raise InvalidParameter(
            "repeat_penalty and repetition_penalty are the same.",
            "Send one of them.",
            param="repeat_penalty",
        )
    sent = {name: getattr(options, name) for name in Choices.model_fields}
    if options.repeat_penalty is not None:
        sent["repetition_penalty"] = options.repeat_penalty
    if options.strategy is None:
        sent |= {name: value for name, value in DEFAULTS.items() if sent[name] is None}
    return Choices(**sent)


def _max_new_tokens(options: Options, num_prompt: int, model: ServedModel) -> int:
    """Both limits are upper bounds: the text ends at whichever is reached first."""
    context = model.context_length
    if options.num_ctx is not None and options.num_ctx > context:
        raise InvalidParameter(
            f"num_ctx={options.num_ctx} is more than the context of {model.id}, {context} tokens.",
            f"Use {context} or less.",
            param="num_ctx",
        )
    room = (context if options.num_ctx is None else options.num_ctx) - num_prompt
    if room < 1:
        raise PromptTooLong(
            f"The prompt has {num_prompt} tokens and num_ctx is {room + num_prompt}, so nothing "
            "can be written.",
            f"Shorten the prompt by at least {1 - room} tokens.",
            param="prompt" if options.num_ctx is None else "num_ctx",
        )
    wanted = options.num_predict
    return room if wanted is None or wanted < 0 else min(wanted, room)
