"""What guides a request: its negative prompt as tokens, checked against the model."""

from penstock.errors import InvalidParameter
from penstock.model.loading import LoadedModel
from penstock.types import GenerationRequest


def negative_token_ids(
    request: GenerationRequest,
    prompt_token_ids: tuple[int, ...],
    max_new_tokens: int,
    model: LoadedModel,
) -> tuple[int, ...] | None:
    """The negative prompt, or the prompt's last token where there is none; `None`: no guidance.

    `prompt_token_ids` may end with the request's prefix, which is no part of the prompt.
    """
    if request.params.guidance_scale == 1:
        _refuse_without_effect(request)
        return None
    given = request.params.negative_prompt
    if given is None:
        is_continued = model.decoder_start_token_id is None
        return (prompt_token_ids[-1 - (len(request.prefix) if is_continued else 0)],)
    token_ids = tuple(model.tokenizer.encode(given)) if isinstance(given, str) else given
    _check(token_ids, request, max_new_tokens, model)
    return token_ids


def _refuse_without_effect(request: GenerationRequest) -> None:
    if request.params.negative_prompt is not None:
        raise InvalidParameter(
            "negative_prompt does nothing at guidance_scale=1.",
            "Set guidance_scale to more than 1, 1.5 for example, or leave negative_prompt out.",
            param="negative_prompt",
        )


def _check(
    token_ids: tuple[int, ...], request: GenerationRequest, max_new_tokens: int, model: LoadedModel
) -> None:
    if not token_ids:
        raise InvalidParameter(
            "negative_prompt has no tokens.",
            "Write what to lead away from, or leave it out.",
            param="negative_prompt",
        )
    for token_id in token_ids:
        if not 0 <= token_id < model.vocab_size:
            raise InvalidParameter(
                f"negative_prompt: token id {token_id} is not in the vocabulary of "
                f"{model.model_id}.",
                f"Use 0 to {model.vocab_size - 1}.",
                param="negative_prompt",
            )
    beside = 0 if model.decoder_start_token_id is not None else len(request.prefix) + max_new_tokens
    if len(token_ids) + beside > model.context_length:
        raise InvalidParameter(
            f"negative_prompt has {len(token_ids)} tokens; with the {beside} that may follow it, "
            f"that is more than the context of {model.model_id}, {model.context_length}.",
            f"Shorten it to {max(0, model.context_length - beside)} tokens or less.",
            param="negative_prompt",
        )
