"""From the words of a request to token ids, and the checks that need the model's vocabulary."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from penstock.decoding.processors import check_order
from penstock.errors import InvalidParameter
from penstock.model.loading import LoadedModel
from penstock.text.tokenizer import Tokenizer
from penstock.types import DecodingParams, Word

TokenIds = tuple[int, ...]
MAX_FORCED_TOKENS = 512


def in_token_ids(params: DecodingParams, model: LoadedModel) -> DecodingParams:
    """`params` with every word as token ids of `model`, all checked."""
    check_order(params.processor_order)
    tokenizer = model.tokenizer
    resolved = replace(
        params,
        bad_words=tuple(_each("bad_words", params.bad_words, tokenizer)),
        sequence_bias=tuple(
            (_as_is("sequence_bias", word, tokenizer), bias) for word, bias in params.sequence_bias
        ),
        topic_words=tuple(
            dict.fromkeys(_inside("topic_words", word, tokenizer) for word in params.topic_words)
        ),
        force_words=_forced(params.force_words, tokenizer),
        dry_sequence_breakers=tuple(_ends(params.dry_sequence_breakers, tokenizer)),
    )
    for name, token_ids in _token_ids(resolved):
        for token_id in token_ids:
            _check_token_id(name, token_id, model)
    return resolved


def single_tokens(words: Iterable[Word], model: LoadedModel) -> tuple[tuple[int], ...]:
    """`named_tokens` as token ids of `model`: each word is one token."""
    found = []
    for word in words:
        token_ids = _as_is("named_tokens", word, model.tokenizer)
        if len(token_ids) != 1:
            raise InvalidParameter(
                f"named_tokens: {word!r} is {len(token_ids)} tokens of {model.model_id}.",
                "Name single tokens, by their texts (most begin with a space) or ids.",
                param="named_tokens",
            )
        _check_token_id("named_tokens", token_ids[0], model)
        found.append((token_ids[0],))
    return tuple(found)


def id_of_word(word: Word) -> int:
    """The id of a single token, once the request is prepared."""
    assert not isinstance(word, str), "words are token ids since the request was prepared"
    return word[0]


def _as_is(name: str, word: Word, tokenizer: Tokenizer) -> TokenIds:
    token_ids = tuple(tokenizer.encode_word(word)) if isinstance(word, str) else word
    if not token_ids:
        raise InvalidParameter(
            f"{name}: {word!r} has no tokens.", "Remove it, or give its token ids.", param=name
        )
    return token_ids


def _each(name: str, words: Iterable[Word], tokenizer: Tokenizer) -> Iterator[TokenIds]:
    """Every word as it is, and a text also as it follows a space."""
    for word in words:
        yield _as_is(name, word, tokenizer)
        if isinstance(word, str) and not word.startswith(" "):
            yield _as_is(name, " " + word, tokenizer)


def _forced(
    words: Iterable[tuple[Word, ...]], tokenizer: Tokenizer
) -> tuple[tuple[TokenIds, ...], ...]:
    """The forced words with all their spellings, no more than can be followed at every step."""
    forced = tuple(_alternatives(ways, tokenizer) for ways in words)
    num_tokens = sum(len(way) for ways in forced for way in ways)
    if num_tokens > MAX_FORCED_TOKENS:
        raise InvalidParameter(
            f"force_words has {num_tokens} tokens, alone and after a space, in all alternatives.",
            f"Use fewer or shorter words, of at most {MAX_FORCED_TOKENS} tokens.",
            param="force_words",
        )
    return forced


def _alternatives(words: Iterable[Word], tokenizer: Tokenizer) -> tuple[TokenIds, ...]:
    """All token ids that stand for one forced word, each once."""
    found = tuple(dict.fromkeys(_each("force_words", words, tokenizer)))
    if not found:
        raise InvalidParameter(
            "force_words has an entry without words.", "Remove it.", param="force_words"
        )
    return found


def _inside(name: str, word: Word, tokenizer: Tokenizer) -> TokenIds:
    """A word as it is after another; a text is put after a space, unless it has one."""
    if isinstance(word, tuple) or not word.strip():
        return _as_is(name, word, tokenizer)
    first = tokenizer.encode_word("a")
    both = tokenizer.encode_word("a " + word.removeprefix(" "))
    is_cut = both[: len(first)] == first and len(both) > len(first)
    return tuple(both[len(first) :]) if is_cut else _as_is(name, word, tokenizer)


def _ends(words: Iterable[Word], tokenizer: Tokenizer) -> Iterator[TokenIds]:
    """The token that each word ends with inside a text."""
    for word in words:
        token_ids = word if isinstance(word, tuple) else tokenizer.encode_word("a" + word)
        yield tuple(token_ids[-1:])


def _token_ids(params: DecodingParams) -> Iterator[tuple[str, Iterable[int]]]:
    """All token ids in the parameters, by the name of the parameter."""
    yield "logit_bias", (token_id for token_id, _ in params.logit_bias)
    yield "sequence_bias", (token_id for word, _ in params.sequence_bias for token_id in _ids(word))
    for name in ("bad_words", "topic_words", "dry_sequence_breakers"):
        yield name, (token_id for word in getattr(params, name) for token_id in _ids(word))
    yield "force_words", (i for words in params.force_words for word in words for i in _ids(word))
    for name in ("suppress_tokens", "begin_suppress_tokens"):
        yield name, getattr(params, name)
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        token_id = getattr(params, name)
        yield name, () if token_id is None else (token_id,)


def _ids(word: Word) -> Iterable[int]:
    return () if isinstance(word, str) else word


def _check_token_id(name: str, token_id: int, model: LoadedModel) -> None:
    """Refuse a token id that the vocabulary lacks."""
    if not 0 <= token_id < model.vocab_size:
        raise InvalidParameter(
            f"{name}: token id {token_id} is not in the vocabulary of {model.model_id}.",
            f"Use 0 to {model.vocab_size - 1}.",
            param=name,
        )
