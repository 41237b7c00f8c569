"""Constrained beam search the slow way: every text is looked at as a whole every time.

Written from the definition, on transformers' model, sharing nothing with our strategies.
"""

import random
from collections.abc import Sequence

from tests.decoding.slow_beams import Group, Rules, Scored, Text, extensions
from tests.tiny_gpt2 import EOS, VOCAB_SIZE, TinyModel

Words = tuple[tuple[Text, ...], ...]


def _is_in(word: Text, text: Sequence[int]) -> bool:
    return any(tuple(text[i : i + len(word)]) == word for i in range(len(text)))


def missing_words(words: Words, text: Sequence[int]) -> list[int]:
    return [i for i, ways in enumerate(words) if not any(_is_in(way, text) for way in ways)]


def _sizes_begun(way: Text, text: Text) -> list[int]:
    """How many of the first tokens of `way`, but not all, can be seen at the end of `text`."""
    return [n for n in range(len(way)) if way[:n] == text[max(0, len(text) - n) :]]


def bank(words: Words, text: Text) -> int:
    text = text[:-1] if text[-1:] == (EOS,) else text
    missing = [way for i in missing_words(words, text) for way in words[i]]
    longest = max(len(way) for ways in words for way in ways)
    num_there = len(words) - len(missing_words(words, text))
    return num_there * longest + max(
        (n for way in missing for n in _sizes_begun(way, text)), default=0
    )


def wanted_tokens(words: Words, text: Text) -> set[int]:
    missing = [way for i in missing_words(words, text) for way in words[i]]
    begun = {way[n] for way in missing for n in _sizes_begun(way, text) if n}
    return begun or {way[0] for way in missing}


def constrained_beam_search(
    tiny: TinyModel, prompt: Text, words: Words, rules: Rules, size: int
) -> tuple[int, ...]:
    """The best text, from the definition, looking at every text as a whole every time."""
    group = Group(size)
    complete: list[tuple[int, float, Text]] = []  # number of missing words, score against it
    while True:
        pool: set[tuple[float, Text]] = set()
        everything = sorted(extensions(tiny, prompt, group), reverse=True)
        pool |= set(everything[: 2 * size])
        for _, parent in group.running:
            mine = [e for e in everything if e[1][:-1] == parent]
            pool |= set(mine[:2])
            wanted = wanted_tokens(words, parent)
            pool |= {e for e in mine if e[1][-1] in wanted}
        banks: dict[int, Scored] = {}
        for extension in sorted(pool, reverse=True):
            banks.setdefault(bank(words, extension[1]), []).append(extension)
        ended: Scored = []
        going_on: list[tuple[int, int, float, Text]] = []
        for reached, members in banks.items():
            ended += [e for e in members[:size] if e[1][-1] == EOS]
            rest = [e for e in members if e[1][-1] != EOS]
            going_on += [(turn, -reached, score, text) for turn, (score, text) in enumerate(rest)]
        chosen = [(score, text) for _, _, score, text in sorted(going_on)[:size]]
        ended += [e for e in chosen if rules.ends(e[1])]
        complete += [(len(missing_words(words, t)), -rules.normalised(s, t), t) for s, t in ended]
        complete = sorted(complete)[:size]
        group.running = [e for e in chosen if not rules.ends(e[1])]
        if not group.running:
            return complete[0][2]
        best = rules.normalised(*max(group.running))
        is_full = len(complete) == size and complete[-1][0] == 0
        if is_full and (rules.early_stopping or best <= -complete[-1][1]):
            return complete[0][2]


def some_words(rng: random.Random) -> Words:
    def some(count: int) -> Text:
        return tuple(rng.randrange(1, VOCAB_SIZE) for _ in range(count))

    ways = [[some(rng.randint(1, 4)) for _ in range(rng.randint(1, 3))] for _ in range(4)]
    return tuple(tuple(way) for way in ways[: rng.randint(1, 4)])
