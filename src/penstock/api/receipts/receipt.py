"""What a receipt holds: all that decided a text, and the tokens that came of it.

Its name is made of the first part, so equal names mean equal texts. Pure; knows no engine. Why it
is so: `docs/decisions/0026-a-receipt-is-kept-and-can-be-carried.md`.
"""

import hashlib
import json
from functools import lru_cache
from importlib.metadata import version
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from penstock import __version__
from penstock.api.playground.schemas import Strict
from penstock.api.playground.wire_types import Name, StopString, Text, TokenId
from penstock.errors import InvalidParameter
from penstock.serving.models import ServedModel
from penstock.types import (
    NEUTRAL,
    DecodingParams,
    EngineOutput,
    GenerationRequest,
    RequestStarted,
    SequenceFinished,
)

DIGITS = 24
LIBRARIES = ("torch", "transformers", "tokenizers", "llguidance")  # that a text depends on


class Circumstances(Strict):
    """What a text depends on beside what was asked for."""

    penstock: Text = Field(description="Its version.")
    libraries: dict[Name, Text] = Field(description="Versions of what it computes with.")
    model: Name
    weights: Text = Field(description="SHA-256 of the model's weight files.")
    config: Text = Field("", description="SHA-256 of its configuration and tokenizer.")
    dtype: Text = Field(description="The number format of the weights in memory.")
    ops: Text = Field("", description="The implementation that computes the model.")


class Decided(Circumstances):
    """Everything that decided a text, as the engine was told it."""

    prompt: Text | list[TokenId] = Field(description="What the model saw.")
    prefix: list[TokenId] = Field([], description="What every text has behind it, as a branch.")
    strategy: Name
    params: dict[Name, Any] = Field({}, description="The decoding parameters that do something.")
    num_sequences: int
    max_new_tokens: int
    min_new_tokens: int = 0
    stop: list[StopString] = Field([])
    seed: int
    adapter: Name | None = Field(None, description="The adapter it was written with.")
    adapter_digest: Text = Field("", description="SHA-256 of the adapter's files.")
    attribute_digest: Text = Field("", description="SHA-256 of the file of its attribute.")


class Receipt(Strict):
    """A receipt as it is kept and as it can be carried to another server."""

    receipt: Name = Field(description="Its name, made of all that is in `decided`.")
    decided: Decided
    token_ids: list[list[TokenId]] = Field(description="The tokens of each text.")
    cached: bool = Field(
        False,
        description="They were computed for an earlier request.",
        exclude_if=lambda cached: not cached,
    )


class ReceiptMaker:
    """Follows one generation's outputs until its receipt can be made."""

    def __init__(
        self, request: GenerationRequest, model: ServedModel, *, is_cached: bool = False
    ) -> None:
        self._is_cached = is_cached
        self._request = request
        self._model = model
        self._started: RequestStarted | None = None
        self._token_ids: dict[int, list[int]] = {}
        self._receipt: Receipt | None = None

    def take(self, output: EngineOutput) -> None:
        """Take note of an output."""
        match output:
            case RequestStarted():
                self._started = output
            case SequenceFinished():
                self._token_ids[output.index] = list(output.token_ids)

    @property
    def name(self) -> str:
        """The receipt's name, known as soon as the request is taken up."""
        assert self._started is not None
        return name_of(decided_of(self._request, self._started, self._model))

    @property
    def receipt(self) -> Receipt:
        """The receipt, once the last output was seen."""
        self._receipt = self._receipt or self._make()
        return self._receipt

    def _make(self) -> Receipt:
        assert self._started is not None
        decided = decided_of(self._request, self._started, self._model)
        token_ids = [self._token_ids[index] for index in sorted(self._token_ids)]
        return Receipt(
            receipt=name_of(decided),
            decided=decided,
            token_ids=token_ids,
            cached=self._is_cached,
        )


def name_of(decided: Decided) -> str:
    """The name for what was decided. Order does not matter; every value that does something does.

    It is the same after a way through programs that write 1.0 as 1.
    """
    values = _plain(decided.model_dump(exclude_defaults=True))
    text = json.dumps(values, sort_keys=True, separators=(",", ":"))
    return f"rcpt_{hashlib.sha256(text.encode()).hexdigest()[:DIGITS]}"


def circumstances(model: ServedModel) -> Circumstances:
    """What a text by this model depends on here and now."""
    return Circumstances(
        penstock=__version__,
        libraries=_libraries(),
        model=model.id,
        weights=model.weights_digest,
        config=model.config_digest,
        dtype=model.dtype,
        ops=model.ops,
    )


def request_of(decided: Decided, request_id: str) -> GenerationRequest:
    """The request that was answered, with everything settled. Raises `InvalidParameter`."""
    prompt = decided.prompt
    return GenerationRequest(
        request_id=request_id,
        prompt=prompt if isinstance(prompt, str) else tuple(prompt),
        model=decided.model,
        prefix=tuple(decided.prefix),
        strategy=decided.strategy,
        params=_params(decided.params),
        max_new_tokens=decided.max_new_tokens,
        min_new_tokens=decided.min_new_tokens,
        num_sequences=decided.num_sequences,
        stop=tuple(decided.stop),
        seed=decided.seed,
        adapter=decided.adapter,
        adapter_digest=decided.adapter_digest or None,
        attribute_digest=decided.attribute_digest or None,
    )


def decided_of(request: GenerationRequest, started: RequestStarted, model: ServedModel) -> Decided:
    """All that decides the text of a request that was taken up."""
    return Decided(
        **circumstances(model).model_dump(),
        prompt=request.prompt if isinstance(request.prompt, str) else list(request.prompt),
        prefix=list(request.prefix),
        strategy=request.strategy,
        params=_params_that_do_something(request.params),
        num_sequences=started.num_sequences,
        max_new_tokens=started.max_new_tokens,
        min_new_tokens=request.min_new_tokens,
        stop=list(request.stop),
        seed=started.seed,
        adapter=request.adapter,
        adapter_digest=started.adapter_digest or "",
        attribute_digest=started.attribute_digest or "",
    )


def _params_that_do_something(params: DecodingParams) -> dict[str, Any]:
    values: dict[str, Any] = _adapter().dump_python(params, mode="json")
    return {
        name: values[name] for name, neutral in NEUTRAL.items() if getattr(params, name) != neutral
    }


def _params(values: dict[str, Any]) -> DecodingParams:
    """Parameters as they were written into a receipt, checked as those of a request are."""
    unknown = sorted(values.keys() - NEUTRAL.keys())
    if unknown:
        raise InvalidParameter(
            f"The receipt has the parameter {unknown[0]!r}, which this version does not know.",
            "Replay it with the version that wrote it.",
            param=f"document.decided.params.{unknown[0]}",
        )
    try:
        return _adapter().validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        raise InvalidParameter(
            f"The receipt's {name} is of the wrong type.",
            "Send the receipt as it was given.",
            param=f"document.decided.params.{name}",
        ) from error


def _plain(value: Any) -> Any:
    """The value with whole numbers written as such, however they came."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[DecodingParams]:
    return TypeAdapter(DecodingParams)


@lru_cache(maxsize=1)
def _libraries() -> dict[str, str]:
    return {name: version(name) for name in LIBRARIES}
