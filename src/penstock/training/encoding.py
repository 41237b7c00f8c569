"""Texts, examples and pairs as token ids, exactly as the served model will see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers

from penstock.errors import RecipeError
from penstock.text.chat_templates import FALLBACK_TEMPLATE, ChatTemplate
from penstock.text.tokenizer import Tokenizer
from penstock.text.tokenizer_files import read_eos_token_ids, read_tokenizer
from penstock.training.segments import Kind, Segment, UnusableRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoded:
    """Token ids, and which of them are learnt; `was_cut` tells of a limit that was met."""

    ids: list[int]
    counted: list[bool]
    was_cut: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A tokenizer with its end token and chat template; `max_length` is the longest example."""

    tokenizer: tokenizers.Tokenizer
    eos_id: int
    max_length: int
    begin_ids: tuple[int, ...] = ()  # what the tokenizer puts before a text
    marker: Tokenizer | None = None  # knows special tokens, where the template means them
    template: ChatTemplate = FALLBACK_TEMPLATE
    is_encoder_decoder: bool = False

    @property
    def vocab_size(self) -> int:
        return int(self.tokenizer.get_vocab_size(with_added_tokens=True))

    def kind_of(self, data_format: str) -> Kind:
        """What a format becomes for this kind of model."""
        if data_format == "text":
            if self.is_encoder_decoder:
                raise RecipeError(
                    "An encoder-decoder model learns from pairs, and the data are plain texts.",
                    "Give prompts and answers: set prompt_key and completion_key.",
                    param="data.format",
                )
            return "text"
        return "pairs" if self.is_encoder_decoder else "examples"

    def texts(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids of each text, without any ends; special tokens in them are spelt out."""
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def conversation(self, segments: Sequence[Segment]) -> Encoded:
        """Return a conversation; a template of the model's own has its ends itself."""
        if self.marker is None:
            return self.example(segments)
        pieces = [self.marker.encode_marked(segment.text) for segment in segments]
        return self._joined(segments, pieces, with_ends=False)

    def example(self, segments: Sequence[Segment]) -> Encoded:
        """Return a prompt and its answer, with the ends of a text."""
        return self._joined(segments, self.texts([s.text for s in segments]), with_ends=True)

    def _joined(
        self, segments: Sequence[Segment], pieces: Sequence[list[int]], *, with_ends: bool
    ) -> Encoded:
        ids = list(self.begin_ids) if with_ends else []
        counted = [False] * len(ids)
        for segment, piece in zip(segments, pieces, strict=True):
            ids += piece
            counted += [segment.is_counted] * len(piece)
        if with_ends:
            ids.append(self.eos_id)
            counted.append(True)
        room = self.max_length + 1  # the last one is only ever foretold
        if not any(counted[1:room]):
            raise UnusableRow(
                f"has no part of an answer within its first {self.max_length} tokens; "
                "raise block_size or shorten its prompt"
            )
        return Encoded(ids=ids[:room], counted=counted[:room], was_cut=len(ids) > room)

    def pair(self, prompt: str, answer: str) -> Encoded:
        """Return the encoder's and the decoder's tokens, each with its end."""
        source, target = self.texts([prompt, answer])
        was_cut = max(len(source), len(target)) >= self.max_length
        source = [*source[: self.max_length - 1], self.eos_id]
        target = [*target[: self.max_length - 1], self.eos_id]
        counted = [False] * len(source) + [True] * len(target)
        return Encoded(ids=source + target, counted=counted, was_cut=was_cut)


def read_encoder(folder: Path, *, max_length: int, is_encoder_decoder: bool = False) -> Encoder:
    """Return the encoder of a model or tokenizer folder."""
    return make_encoder(
        read_tokenizer(folder), folder, max_length=max_length, is_encoder_decoder=is_encoder_decoder
    )


def make_encoder(
    tokenizer: tokenizers.Tokenizer,
    folder: Path,
    *,
    max_length: int,
    is_encoder_decoder: bool = False,
) -> Encoder:
    """Return an encoder over a tokenizer whose further files lie in the folder."""
    eos_ids = read_eos_token_ids(folder, tokenizer)
    if not eos_ids:
        raise RecipeError(
            f"The tokenizer in {folder} names no end-of-text token.",
            "Add eos_token to its tokenizer_config.json.",
            param="tokenizer",
        )
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True  # a text that spells one does not end there
    template = ChatTemplate.from_folder(folder)
    return Encoder(
        tokenizer=tokenizer,
        eos_id=min(eos_ids),
        max_length=max_length,
        begin_ids=_beginning(tokenizer),
        marker=None if template.origin == "fallback" else Tokenizer(tokenizer, eos_ids),
        template=template,
        is_encoder_decoder=is_encoder_decoder,
    )


def _beginning(tokenizer: tokenizers.Tokenizer) -> tuple[int, ...]:
    bare = tokenizer.encode("a", add_special_tokens=False).ids
    whole = tokenizer.encode("a").ids
    first = next((i for i in range(len(whole)) if whole[i : i + len(bare)] == bare), 0)
    return tuple(whole[:first])
