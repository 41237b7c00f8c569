"""Plain prose from books and magazines: one paragraph per line, one kind of quote and dash.

Pure functions over text; knows nothing of files, tokens or weights.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator

_TYPOGRAPHY = str.maketrans(
    {
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u00b4\u2032`", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u00ab\u00bb\u2033", '"'),
        **dict.fromkeys("\u2014\u2015\u2e3a", "--"),
        **dict.fromkeys("\u2013\u2010\u2011\u2012", "-"),
        **dict.fromkeys("\u00a0\u202f\u2009\u2007\u3000\t", " "),
        **dict.fromkeys("\u200b\u200e\u200f\ufeff\u00ad", ""),
        "\u2026": "...",
        "\u00e6": "ae",
        "\u00c6": "Ae",
        "\u0153": "oe",
        "\u0152": "Oe",
    }
)
_NOTES = re.compile(r"\[[^\[\]]{0,600}\]|\{[^{}]{0,300}\}")
_NOTE_MARKS = re.compile(r"(?<=\S)\s?\*+(?=\s|$)|(?<=[.,;!?'\"])[*\u2020\u2021]+")
_ITALICS = re.compile(r"_+")
_DASHES = re.compile(r"\s*-{2,}\s*")
_DOTS = re.compile(r"(?:\.\s?){4,}")
_SPACED_DOTS = re.compile(r"\s*\. \. \.")
_BLANK_LINES = re.compile(r"\n\s*\n+")
_SPACES = re.compile(r"\s+")
_GLUED_SENTENCES = re.compile(r"(?<=[a-z.]{2})([.!?])(?=[A-Z][a-z])")
_DASH_BEFORE_CLOSING_QUOTE = re.compile(r' -- "(?=\s|$)')
_DASH_AFTER_OPENING_QUOTE = re.compile(r'(^|\s)" -- ')
_HEADING = re.compile(
    r"^(chapter|part|book|act|scene|section|letter)\s+([ivxlcdm]+|\d+|one|two)\b", re.I
)
_NUMBER_LINE = re.compile(r"^[\divxlcIVXLC]{1,7}[.)]?$")
_BOILERPLATE = re.compile(
    r"gutenberg|transcriber|this e-?text|u\.s\. copyright|copyright on this|www\.|https?:|"
    r"typographical error|^produced by|^illustrat(ed|ion|or)s?\b|^translat(ed|ion) by|^footnote",
    re.I,
)
_NOTES_BEGIN = re.compile(r"^\W*transcriber'?s?'? notes?\b", re.I)
_THE_END = re.compile(r"^\W*(the end|finis|end)\W*$", re.I)
_COMMON_WORDS = "the and of to a in was he she it that his her you i they with said for"
_ENGLISH = frozenset(_COMMON_WORDS.split(" "))


def clean_document(text: str) -> str:
    """Return the document as paragraphs of flowing prose, separated by one blank line."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n"))
    text = _NOTES.sub("", text.translate(_TYPOGRAPHY))
    cleaned = (clean_paragraph(block) for block in _BLANK_LINES.split(text))
    return "\n\n".join(_keep_prose(cleaned))


def clean_paragraph(block: str) -> str:
    """Return one paragraph as a single line in plain typography."""
    line = _SPACES.sub(" ", _rejoin_broken_words(block)).strip()
    line = _NOTE_MARKS.sub("", _ITALICS.sub("", line))
    line = _DOTS.sub("...", _SPACED_DOTS.sub("...", line))
    line = _DASH_BEFORE_CLOSING_QUOTE.sub(' --"', _DASHES.sub(" -- ", line))
    line = _DASH_AFTER_OPENING_QUOTE.sub(r'\1"-- ', line)
    line = _GLUED_SENTENCES.sub(r"\1 ", line)
    return _SPACES.sub(" ", _even_quotes(line)).strip()


def is_prose(paragraph: str) -> bool:
    """Tell a paragraph of a story from a heading, a table, a note or a rule of stars."""
    letters = [c for c in paragraph if c.isalpha()]
    if len(letters) < 2 or len(letters) < 0.6 * len(paragraph.replace(" ", "")) - 5:
        return False
    if len(letters) > 4 and sum(c.isupper() for c in letters) > 0.5 * len(letters):
        return False
    if sum(ord(c) > 126 for c in paragraph) > 0.03 * len(paragraph) + 1 or "\ufffd" in paragraph:
        return False
    if any(c in paragraph for c in "|<>={}[]\\^~#@%") or _THE_END.match(paragraph):
        return False
    return not (
        _HEADING.match(paragraph) or _NUMBER_LINE.match(paragraph) or _BOILERPLATE.search(paragraph)
    )


def is_english(text: str) -> bool:
    """Tell English by its commonest words, which make up a fifth of any English prose."""
    words = re.findall(r"[a-z']+", text.lower())
    return bool(words) and sum(word in _ENGLISH for word in words) >= 0.12 * len(words)


def _keep_prose(paragraphs: Iterable[str]) -> Iterator[str]:
    for paragraph in paragraphs:
        if _NOTES_BEGIN.match(paragraph):
            return
        if is_prose(paragraph):
            yield paragraph


def _rejoin_broken_words(block: str) -> str:
    return re.sub(r"(?<=[a-z])-\n\s*(?=[a-z])", "-", block)


def _even_quotes(line: str) -> str:
    """Turn British outer quotes into double ones: 'Yes,' he said -> "Yes," he said."""
    if '"' in line or "'" not in line:
        return line
    opened = re.sub(r"(^|[\s(-])'(?=[A-Za-z.])", r'\1"', line)
    if opened == line:
        return line
    closed = re.sub(r"(?<=[.,!?;-])'(?=\s|$|\)|-)", '"', opened)
    return closed if closed.count('"') % 2 == 0 else line
