"""Asks a loaded model, wherever it runs, about texts and tokens. Plain data both ways."""

from collections.abc import Sequence
from dataclasses import dataclass

from penstock.serving.models import ServedModel
from penstock.serving.worker import EngineClient
from penstock.text.chat import Message, RenderedChat, Tokenized, TokenizerInfo
from penstock.text.tool_calls import Tool
from penstock.types import WatermarkScore


@dataclass(frozen=True, slots=True)
class ModelTexts:
    """The methods of a model's kit that need no engine, for who is on the event loop."""

    model: ServedModel
    client: EngineClient

    async def tokenize(
        self, text: str, *, with_ends: bool = True, with_specials: bool = False
    ) -> Tokenized:
        """The tokens of a text, as a prompt has them; see `TextFormat.tokenize`."""
        tokenized: Tokenized = await self.client.call("tokenize", text, with_ends, with_specials)
        return tokenized

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of the ids."""
        text: str = await self.client.call("detokenize", tuple(token_ids))
        return text

    async def render_chat(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        continue_last: bool = False,
        tools: Sequence[Tool] = (),
    ) -> RenderedChat:
        """A conversation as the model is used to see it; see `TextFormat.render_chat`."""
        rendered: RenderedChat = await self.client.call(
            "render_chat", tuple(messages), add_generation_prompt, continue_last, tuple(tools)
        )
        return rendered

    async def describe_tokenizer(self) -> TokenizerInfo:
        """What a client must know to tokenize as the model does."""
        info: TokenizerInfo = await self.client.call("describe_tokenizer")
        return info

    async def detect_watermark(
        self, text: str, *, gamma: float, key: int | None, each_pair_once: bool
    ) -> WatermarkScore:
        """How many tokens of a text are green for the key, the server's own where it is None."""
        score: WatermarkScore = await self.client.call(
            "detect_watermark", text, gamma, key, each_pair_once
        )
        return score
