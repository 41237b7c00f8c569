"""From a checkpoint to transformers' own model of it. Runs no code but that of transformers."""

import logging
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, PreTrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
)
from transformers.utils.logging import disable_progress_bar

from penstock.errors import UnsupportedModel

logger = logging.getLogger(__name__)

CONTEXT_NAMES = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")
DEFAULT_CONTEXT = 2048  # where an architecture sets no limit


def read_model(
    config: Mapping[str, Any], weights: Mapping[str, Tensor], store: torch.dtype
) -> PreTrainedModel:
    """The model that `config` describes, with exactly these weights, ready to run."""
    described = _described(config)
    model_class = _model_class(described)
    disable_progress_bar()  # it would write into the server's log
    try:
        model, report = model_class.from_pretrained(
            None,
            config=described,
            state_dict=dict(weights),
            dtype=store,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except (RuntimeError, ValueError, TypeError, KeyError) as error:
        raise _misfit(f"({error})") from error
    if report["missing_keys"]:
        raise _misfit(f"({sorted(report['missing_keys'])[0]} is missing)")
    if report["unexpected_keys"]:
        logger.warning("%d tensors of the checkpoint are not used.", len(report["unexpected_keys"]))
    return model.eval()


def is_seq2seq(config: Mapping[str, Any]) -> bool:
    """Whether `config` describes an encoder-decoder."""
    return bool(_described(config).is_encoder_decoder)


def context_length(config: PreTrainedConfig) -> int:
    """How many tokens a text may have, by whichever name the architecture calls it."""
    decoder = config.get_text_config(decoder=True)
    sizes = (getattr(decoder, name, None) for name in CONTEXT_NAMES)
    return next((size for size in sizes if type(size) is int and size > 0), DEFAULT_CONTEXT)


def decoder_start(config: PreTrainedConfig) -> int:
    """The token that an encoder-decoder's texts start from."""
    for name in ("decoder_start_token_id", "bos_token_id"):
        token_id = getattr(config, name, None)
        if type(token_id) is int:
            return token_id
    raise UnsupportedModel(
        "config.json has no decoder_start_token_id, so no text can be started.",
        "Fetch the model's files again.",
    )


def _described(config: Mapping[str, Any]) -> PreTrainedConfig:
    try:
        return AutoConfig.for_model(**config)
    except Exception as error:  # each architecture checks its own values, in its own way
        raise UnsupportedModel(
            f"transformers does not take the configuration ({error}).",
            "Fetch the model's files again.",
        ) from error


def _model_class(config: PreTrainedConfig) -> Any:
    """The class that writes text; a model saved as something else, such as BERT, is refused."""
    tables = [MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING]
    if config.is_encoder_decoder:
        tables.reverse()
    found = next((table[type(config)] for table in tables if type(config) in table), None)
    if isinstance(found, tuple):
        found = found[0]
    saved_as = getattr(config, "architectures", None) or []
    if found is None or (saved_as and found.__name__ not in saved_as):
        raise UnsupportedModel(
            f"A model of the type {config.model_type!r}, saved as {', '.join(saved_as) or '?'}, "
            "does not write text.",
            "Choose a causal or seq2seq language model.",
        )
    return found


def _misfit(why: str) -> UnsupportedModel:
    return UnsupportedModel(
        f"The weights do not fit the configuration {why}.",
        "The files do not belong together: fetch them all again.",
    )
