"""From a conversation to the token ids a model continues, and what can be asked of a tokenizer.

Plain values in and out, so that both may be a process away from whoever asks. Knows no model.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from penstock.errors import InvalidParameter
from penstock.text.chat_templates import ChatTemplate, Origin
from penstock.text.tokenizer import Tokenizer
from penstock.text.tool_calls import RESPONSE, Tool, ToolCall, brief_instructions, instructions

Role = Literal["system", "user", "assistant", "tool"]
OPENING = RESPONSE.partition("\n")[0]  # of a tool's answer
# Characters that Unicode keeps free for programs: a message has no use for them.
NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedChat:
    """What the model sees of a conversation, and the texts that end its answer."""

    text: str
    token_ids: tuple[int, ...]
    origin: Origin
    stop: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A text's token ids, and each token as it is shown."""

    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizerInfo:
    """What a client must know to tokenize as the model does."""

    vocab_size: int
    bos_token: str | None
    eos_token: str | None
    pad_token: str | None
    unk_token: str | None
    eos_token_ids: tuple[int, ...]
    chat_template: str
    chat_template_origin: Origin


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A model's tokenizer and chat template. Safe to share between threads."""

    tokenizer: Tokenizer
    template: ChatTemplate
    vocab_size: int  # the model's, which may have more rows than the tokenizer has tokens

    def tokenize(self, text: str, *, with_ends: bool, with_specials: bool) -> Tokenized:
        """The tokens of a text; `with_specials`, special tokens spelt in it are special."""
        if with_specials:
            token_ids = self.tokenizer.encode_marked(text, with_ends=with_ends)
        elif with_ends:
            token_ids = self.tokenizer.encode(text)
        else:
            guard, _ = _free_characters([text])
            token_ids = self.tokenizer.encode_marked(
                self.tokenizer.guarded(text, guard), guard=guard
            )
        return Tokenized(tuple(token_ids), tuple(map(self.tokenizer.token_text, token_ids)))

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """The text of the ids, special tokens left out."""
        for token_id in token_ids:
            if not 0 <= token_id < self.vocab_size:
                raise InvalidParameter(
                    f"Token id {token_id} is not in the vocabulary.",
                    f"Use 0 to {self.vocab_size - 1}.",
                    param="tokens",
                )
        return self.tokenizer.decode(token_ids)

    def render_chat(
        self,
        messages: Sequence[Message],
        *,
        add_generation_prompt: bool = True,
        continue_last: bool = False,
        tools: Sequence[Tool] = (),
    ) -> RenderedChat:
        """The conversation as the model is used to see it.

        What a message spells is text, even where it spells a special token: a guard character
        keeps it apart from the template's own, until the text is cut at those. With
        `continue_last` it breaks off where the last message ends, for the model to go on there.
        A model's own template has the ends that its tokenizer puts around a text; the fallback
        gets them here. A template that knows no tools is given messages that tell of them.
        """
        seen = [as_templates_know(message) for message in messages]
        told = [tool.described() for tool in tools]
        if not self.template.knows_tools:
            seen, told = [as_templates_know(m) for m in self._in_plain_words(messages, tools)], []
        guard, mark = _free_characters([json.dumps([seen, told], ensure_ascii=False)])
        guarded = self._guarded(seen, guard)
        if continue_last:
            guarded[-1]["content"] += mark
        text = self.template.render(
            guarded,
            add_generation_prompt=add_generation_prompt and not continue_last,
            tools=self._guarded(told, guard) or None,
        )
        if continue_last:
            text = _up_to(mark, text)
        return RenderedChat(
            text=text.replace(guard, ""),
            token_ids=tuple(
                self.tokenizer.encode_marked(
                    text, guard=guard, with_ends=self.template.origin == "fallback"
                )
            ),
            origin=self.template.origin,
            stop=self.template.stop,
        )

    def _in_plain_words(self, messages: Sequence[Message], tools: Sequence[Tool]) -> list[Message]:
        """The conversation without tools in its form: the system and the user tell of them."""
        plain = in_plain_words(messages)
        if not tools:
            return plain
        is_base = self.template.origin == "fallback"
        told = brief_instructions(tools) if is_base else instructions(tools)
        if plain and plain[0].role == "system":
            told = f"{plain.pop(0).content}\n\n{told}"
        return [Message("system", told), *plain]

    def _guarded(self, value: Any, guard: str) -> Any:
        """A JSON value with every text in it guarded."""
        match value:
            case str():
                return self.tokenizer.guarded(value, guard)
            case list():
                return [self._guarded(item, guard) for item in value]
            case dict():
                return {
                    self._guarded(key, guard): self._guarded(item, guard)
                    for key, item in value.items()
                }
        return value

    def describe(self) -> TokenizerInfo:
        """What the tokenizer's own files say of it."""
        named = self.template.special_tokens
        eos = sorted(self.tokenizer.eos_token_ids)
        return TokenizerInfo(
            vocab_size=self.vocab_size,
            bos_token=named.get("bos_token"),
            eos_token=named.get("eos_token")
            or (self.tokenizer.token_text(eos[0]) if eos else None),
            pad_token=named.get("pad_token"),
            unk_token=named.get("unk_token"),
            eos_token_ids=tuple(eos),
            chat_template=self.template.source,
            chat_template_origin=self.template.origin,
        )


def _free_characters(texts: Sequence[str]) -> tuple[str, str]:
    """Two characters that are in none of the texts."""
    free = [c for c in NONCHARACTERS if not any(c in text for text in texts)]
    if len(free) < 2:
        raise InvalidParameter(
            "The messages hold nearly all of the noncharacters U+FDD0 to U+FDEF.",
            "Remove them: they stand for nothing.",
            param="messages",
        )
    return free[0], free[1]


def as_templates_know(message: Message) -> dict[str, Any]:
    """A message as chat templates read it; arguments of calls are objects to them."""
    seen: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.name is not None:
        seen["name"] = message.name
    if message.tool_call_id is not None:
        seen["tool_call_id"] = message.tool_call_id
    if message.tool_calls:
        seen["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": json.loads(call.arguments)},
            }
            for call in message.tool_calls
        ]
    return seen


def in_plain_words(messages: Sequence[Message]) -> list[Message]:
    """The conversation with calls as the assistant's text and their answers as the user's."""
    plain: list[Message] = []
    for message in messages:
        if message.role == "tool":
            answer = RESPONSE.format(content=message.content)
            if plain and plain[-1].role == "user" and plain[-1].content.startswith(OPENING):
                answer = f"{plain.pop().content}\n{answer}"
            plain.append(Message("user", answer))
        else:
            parts = [message.content, *(call.written() for call in message.tool_calls)]
            plain.append(Message(message.role, "\n".join(filter(None, parts)), message.name))
    return plain


def _up_to(mark: str, text: str) -> str:
    shown, found, _ = text.partition(mark)
    if not found:
        raise InvalidParameter(
            "The model's chat template does not show the last message as it is.",
            "End with a message of the user's.",
            param="messages",
        )
    return shown
