"""What the server and a worker process say to each other. Plain data; knows no sockets.

The server sends orders, the worker sends news. Every `Call` is answered once, by `Answered` or by
`Refused`; everything between comes as it happens.
"""

import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.engine.metrics import EngineStats
from penstock.serving.engine_thread import EngineKit
from penstock.serving.models import LoadPlan, ServedModel
from penstock.serving.plain import Codec, codec_of
from penstock.types import EngineOutput, GenerationRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """Carry out a method. Its arguments are plain already."""

    number: int
    method: str
    arguments: Any


@dataclass(frozen=True, slots=True)
class Cancel:
    """Have the engine forget a request. Unknown and finished ones are no error."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Answered:
    """The call's result, plain."""

    number: int
    result: Any


@dataclass(frozen=True, slots=True)
class Refused:
    """What the call raised."""

    number: int
    error: Exception


@dataclass(frozen=True, slots=True)
class Outputs:
    """All that came of one step of the engine."""

    outputs: tuple[EngineOutput, ...]


@dataclass(frozen=True, slots=True)
class Beat:
    """The worker lives; its engine has been at one step or command for so long."""

    busy_seconds: float = 0.0
    stats: EngineStats | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """An event for the server's log."""

    logger: str
    level: int
    message: str
    request_id: str | None


Order = Call | Cancel
News = Answered | Refused | Outputs | Beat | Logged
ORDERS = codec_of(Order)
NEWS = codec_of(News)


@dataclass(frozen=True, slots=True)
class Method:
    """Something a worker can be called for, and how its arguments and its result cross."""

    name: str
    arguments: tuple[Codec, ...]
    result: Codec

    def encode_arguments(self, arguments: tuple[Any, ...]) -> list[Any]:
        """Plain arguments."""
        return [c.encode(value) for c, value in zip(self.arguments, arguments, strict=True)]

    def decode_arguments(self, plain: Any) -> tuple[Any, ...]:
        """The arguments again."""
        return tuple(c.decode(value) for c, value in zip(self.arguments, plain, strict=True))


def method_of(function: Callable[..., Any]) -> Method:
    """The method that a function with type hints describes; `self` is left out."""
    hints = typing.get_type_hints(function)
    result = hints.pop("return")
    return Method(function.__name__, tuple(map(codec_of, hints.values())), codec_of(result))


LOAD = Method("load", (codec_of(LoadPlan),), codec_of(ServedModel))
SUBMIT = Method("submit", (codec_of(GenerationRequest),), codec_of(None))
STOP = Method("stop", (), codec_of(None))

# What may be called on a model's kit from elsewhere: `EngineKit.name` for each.
KIT_FUNCTIONS: tuple[Callable[..., Any], ...] = (
    EngineKit.tokenize,
    EngineKit.detokenize,
    EngineKit.render_chat,
    EngineKit.describe_tokenizer,
    EngineKit.detect_watermark,
    EngineKit.load_adapter,
    EngineKit.unload_adapter,
    EngineKit.loaded_adapters,
)
KIT_METHODS: Mapping[str, Method] = {f.__name__: method_of(f) for f in KIT_FUNCTIONS}
