"""What a contender is: a way to generate text, with its model loaded, in a process of its own."""

from typing import Literal, Protocol

from benchmarks.load import About, Load, Stream

Width = Literal["float32", "bfloat16", "int8", "int4"]


class Contender(Protocol):
    """Carries out loads one after the other. Made from a model folder."""

    def about(self) -> About: ...

    def run(self, load: Load) -> list[Stream]:
        """Write every stream to its end; token times are taken as the tokens become visible."""

    def peak_bytes(self) -> int | None:
        """The most memory the model's process has held so far, where this can be told."""

    def close(self) -> None: ...
