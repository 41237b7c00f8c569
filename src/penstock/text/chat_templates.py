"""The template that turns a conversation into the one text a model continues: its own, or ours.

A template comes from the model's folder and never from a request. Knows no tokens.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from jinja2 import TemplateError

from penstock.errors import InvalidParameter, UnsupportedModel
from penstock.text.json_object import read_json_object_if_present
from penstock.text.template_sandbox import render

TEMPLATE_FILE = "chat_template.jinja"
MAX_TEMPLATE_BYTES = 256 * 1024
SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token")
Origin = Literal["model", "fallback"]

# For models that were never taught a conversation's form. They learnt from pages that look like it.
FALLBACK = """\
{%- for message in messages -%}
{%- if message.role == 'system' -%}
{{ message.content | trim }}
{%- else -%}
{{ 'User: ' if message.role == 'user' else 'Assistant: ' }}{{ message.content | trim }}
{%- endif -%}
{{ '\\n\\n' if message.role == 'system' else '\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
Assistant:
{%- endif -%}
"""
FALLBACK_STOP = ("\nUser:",)  # where such a model would go on and speak for the user


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatTemplate:
    """A Jinja template, the special tokens it may name, and texts that end an answer."""

    source: str
    origin: Origin
    special_tokens: Mapping[str, str] = field(default_factory=dict)
    stop: tuple[str, ...] = ()

    @classmethod
    def from_folder(cls, folder: Path) -> "ChatTemplate":
        """The folder's own template, or the fallback where it has none."""
        config = read_json_object_if_present(folder / "tokenizer_config.json")
        special_tokens = _special_tokens(config)
        source = _read_template(folder, config)
        if source is None:
            return replace(FALLBACK_TEMPLATE, special_tokens=special_tokens)
        return cls(source=source, origin="model", special_tokens=special_tokens)

    @property
    def knows_tools(self) -> bool:
        """Whether the template has a place for tools."""
        return re.search(r"\btools\b", self.source) is not None

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        add_generation_prompt: bool,
        tools: Sequence[Mapping[str, Any]] | None = None,
    ) -> str:
        """The text for these messages, each with `role` and `content`, and these tools."""
        variables = {
            **self.special_tokens,
            "messages": [dict(message) for message in messages],
            "add_generation_prompt": add_generation_prompt,
            "tools": tools,
            "documents": None,
        }
        try:
            return render(self.source, variables)
        except TemplateError as error:
            raise InvalidParameter(
                f"The model's chat template does not take these messages: {error}.",
                "Change their roles or order, or use /v1/completions with a text of your own.",
                param="messages",
            ) from error
        except Exception as error:  # a mistake in the template can raise anything
            raise UnsupportedModel(
                f"The model's chat template fails ({type(error).__name__}: {error}).",
                "Use /v1/completions with a text of your own.",
            ) from error


FALLBACK_TEMPLATE = ChatTemplate(source=FALLBACK, origin="fallback", stop=FALLBACK_STOP)


def _read_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The file of its own wins over the tokenizer's configuration, as in transformers."""
    path = folder / TEMPLATE_FILE
    if path.is_file():
        _check_size(path.stat().st_size, folder)
        return path.read_text(encoding="utf-8")
    stated = config.get("chat_template")
    if isinstance(stated, list):
        stated = {t.get("name"): t.get("template") for t in stated if isinstance(t, dict)}
        stated = stated.get("default")
    if not isinstance(stated, str):
        return None
    _check_size(len(stated), folder)
    return stated


def _check_size(size: int, folder: Path) -> None:
    if size > MAX_TEMPLATE_BYTES:
        raise UnsupportedModel(
            f"The chat template in {folder} has {size} bytes.",
            f"Up to {MAX_TEMPLATE_BYTES} bytes are read.",
        )


def _special_tokens(config: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for name in SPECIAL_NAMES:
        stated = config.get(name)
        content = stated.get("content") if isinstance(stated, dict) else stated
        if isinstance(content, str):
            found[name] = content
    return found
