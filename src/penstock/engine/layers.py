"""Which early layers of a model a request means by `dola_layers`."""

from dataclasses import replace

from penstock.errors import InvalidParameter
from penstock.model.families.interface import TellsHidden
from penstock.model.loading import LoadedModel
from penstock.types import DecodingParams

FAR = 20  # layers from either end, in models of more than twice as many


def with_layers(params: DecodingParams, model: LoadedModel) -> DecodingParams:
    """`params` with `dola_layers` as numbers of layers that the model has."""
    if params.dola_layers is None:
        return params
    family = model.family
    if not isinstance(family, TellsHidden):
        raise InvalidParameter(
            f"{model.model_id} does not tell the hidden states of its layers, which dola_layers "
            "compares.",
            "Choose another strategy or another model.",
            param="dola_layers",
        )
    num_layers = family.cache_shape.num_layers
    if isinstance(params.dola_layers, str):
        layers = named_layers(params.dola_layers, num_layers, is_tied=family.is_tied)
        return replace(params, dola_layers=layers)
    for layer in params.dola_layers:
        if not 0 <= layer < num_layers:
            raise InvalidParameter(
                f"dola_layers: {model.model_id} has no layer {layer} before its last.",
                f"Use 0 to {num_layers - 1}.",
                param="dola_layers",
            )
    return params


def named_layers(name: str, num_layers: int, *, is_tied: bool) -> tuple[int, ...]:
    """Every second layer of the lower or the upper half, as transformers chose them.

    What reaches the first layers of a model with a tied head is still the token itself.
    """
    is_deep, half = num_layers > 2 * FAR, num_layers // 2
    first = min(2, half) if is_tied else 0
    if name == "low":
        return tuple(range(first, FAR if is_deep else half, 2)) or (first,)
    return tuple(range(num_layers - FAR if is_deep else half, num_layers, 2))
