"""Which architectures run through transformers' own code, told by its tables of names alone.

Imports neither torch nor any architecture's code.
"""

from penstock.errors import UnsupportedModel
from penstock.model.catalog import NATIVE_FAMILIES


def is_bridged(model_type: str) -> bool:
    """Whether transformers has a model of this type that writes text, and Penstock has not."""
    from transformers.models.auto.modeling_auto import (  # noqa: PLC0415  # slow to import
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    )

    return model_type not in NATIVE_FAMILIES and (
        model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
        or model_type in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES
    )


def refuse_unknown(model_type: str) -> None:
    """Refuse a type that neither Penstock nor the installed transformers can run."""
    if model_type not in NATIVE_FAMILIES and not is_bridged(model_type):
        raise UnsupportedModel(
            f"Neither Penstock nor the installed transformers has text models of the type "
            f"{model_type!r}.",
            f"Choose {', '.join(sorted(NATIVE_FAMILIES))}, or any type of a causal or seq2seq "
            "language model that transformers has.",
        )
