"""The tokenizer: bytes of tokens, special tokens in a text, and every kind of folder."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken

from penstock.errors import InvalidParameter, ModelUnavailable, UnsupportedModel
from penstock.text.tokenizer import Tokenizer
from tests.text.learnt import END_OF_TEXT, learn_byte_level

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@given(text=TEXT)
def test_a_byte_level_text_survives_the_round_trip(byte_level: Tokenizer, text: str) -> None:
    assert byte_level.decode(byte_level.encode(text)) == text


@given(data=st.data())
def test_any_ids_decode_as_the_tokenizers_library_decodes_them(
    byte_level: Tokenizer, data: st.DataObject
) -> None:
    ids = data.draw(st.lists(st.integers(0, byte_level.vocab_size - 1), max_size=20))

    assert byte_level.decode(ids) == byte_level._backend.decode(ids)


@given(text=TEXT)
def test_a_sentencepiece_text_decodes_as_the_tokenizers_library_decodes_it(
    sentencepiece: Tokenizer, text: str
) -> None:
    ids = sentencepiece.encode(text)

    assert sentencepiece.decode(ids) == sentencepiece._backend.decode(ids)


def test_the_bytes_of_every_single_byte_token_are_that_byte(small: Tokenizer) -> None:
    single = {small.token_bytes(i) for i in range(small.vocab_size)}

    assert {bytes([value]) for value in range(256)} <= single


@pytest.mark.parametrize(
    ("folder", "size", "eos"),
    [
        ("tokenizers/gpt2", 50_257, {50_256}),
        ("tokenizers/t5", 32_100, {1}),
        ("weights/stories260K", 512, {1, 2}),
        pytest.param("tokenizers/qwen2", 151_646, {151_645}, marks=pytest.mark.slow),
    ],
)
def test_a_folder_gives_its_whole_vocabulary_and_its_end_tokens(
    shared_data: Path, folder: str, size: int, eos: set[int]
) -> None:
    tokenizer = Tokenizer.from_folder(shared_data / folder)

    assert tokenizer.vocab_size == size
    assert tokenizer.eos_token_ids == eos


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("Hello world", [15496, 995]),
        (" the", [262]),
        ("I'm 2024", [40, 1101, 48609]),
        ("  two", [220, 734]),
    ],
)
def test_gpt2_ids_are_the_published_ones(gpt2: Tokenizer, text: str, ids: list[int]) -> None:
    assert gpt2.encode(text) == ids


@pytest.mark.parametrize("normalized", [False, True])
def test_a_special_token_written_by_a_user_is_plain_text(normalized: bool) -> None:
    backend = learn_byte_level()
    backend.add_special_tokens([AddedToken("<|user|>", normalized=normalized)])
    tokenizer = Tokenizer(backend, frozenset({0}))
    text = f"a {END_OF_TEXT} b <|user|> c"

    ids = tokenizer.encode(text)

    assert not {backend.token_to_id(END_OF_TEXT), backend.token_to_id("<|user|>")} & set(ids)
    assert tokenizer.decode(ids) == text


def test_special_tokens_have_no_bytes_but_a_name(small: Tokenizer) -> None:
    assert small.token_bytes(0) == b""
    assert small.token_text(0) == END_OF_TEXT
    assert small.decode([0, *small.encode("hi"), 0]) == "hi"


@pytest.mark.parametrize("token_id", [-1, 10_000_000])
def test_an_id_that_no_token_has_is_empty(small: Tokenizer, token_id: int) -> None:
    assert small.token_bytes(token_id) == b""
    assert small.token_text(token_id) == ""


def test_an_added_token_that_is_not_special_is_its_own_text() -> None:
    backend = learn_byte_level()
    backend.add_tokens([AddedToken("\u00e9t\u00e9 \u2192", normalized=False)])
    tokenizer = Tokenizer(backend, frozenset())

    ids = tokenizer.encode("un \u00e9t\u00e9 \u2192 long")

    assert backend.token_to_id("\u00e9t\u00e9 \u2192") in ids
    assert tokenizer.decode(ids) == "un \u00e9t\u00e9 \u2192 long"


def test_a_text_is_never_cut_or_padded(tmp_path: Path) -> None:
    backend = learn_byte_level()
    backend.enable_truncation(3)
    backend.enable_padding(length=50)
    backend.save(str(tmp_path / "tokenizer.json"))

    tokenizer = Tokenizer.from_folder(tmp_path)

    assert tokenizer.decode(tokenizer.encode("a text of more than three tokens")) == (
        "a text of more than three tokens"
    )
    assert len(tokenizer.encode("a")) == 1


def test_half_a_character_is_refused_with_its_place(small: Tokenizer) -> None:
    with pytest.raises(InvalidParameter, match=r"U\+D800.*position 2") as caught:
        small.encode("ab\ud800c")

    assert caught.value.param == "prompt"


def test_gaps_in_the_ids_count_towards_the_vocabulary(tmp_path: Path) -> None:
    learn_byte_level().save(str(tmp_path / "tokenizer.json"))
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    content["model"]["vocab"]["zzz"] = 9_999
    (tmp_path / "tokenizer.json").write_text(json.dumps(content))

    tokenizer = Tokenizer.from_folder(tmp_path)

    assert tokenizer.vocab_size == 10_000
    assert tokenizer.token_bytes(9_998) == b""
    assert tokenizer.token_bytes(9_999) == b"zzz"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {0}),
        ({"tokenizer_config.json": {"eos_token": "a"}}, {1}),
        ({"tokenizer_config.json": {"eos_token": {"content": "a"}}}, {1}),
        ({"config.json": {"eos_token_id": 7}, "tokenizer_config.json": {"eos_token": "a"}}, {7}),
        ({"generation_config.json": {"eos_token_id": [5, 6]}, "config.json": {"eos_token_id": 7}},
         {5, 6}),
        ({"generation_config.json": {"eos_token_id": None}, "config.json": {"eos_token_id": 7}},
         {7}),
        ({"config.json": {"eos_token_id": "seven"}}, {0}),
        ({"config.json": {"eos_token_id": [True, -1]}}, {0}),
        ({"tokenizer_config.json": {"eos_token": "not in the vocabulary"}}, set()),
    ],
)  # fmt: skip
def test_the_end_tokens_come_from_the_first_file_that_names_them(
    tmp_path: Path, files: dict[str, dict[str, object]], expected: set[int]
) -> None:
    backend = learn_byte_level()
    backend.save(str(tmp_path / "tokenizer.json"))
    for name, content in files.items():
        (tmp_path / name).write_text(json.dumps(content))
    a = backend.token_to_id("a")

    found = Tokenizer.from_folder(tmp_path).eos_token_ids

    assert found == ({a} if expected == {1} else expected)


def test_a_folder_without_a_tokenizer_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"no tokenizer.*tokenizer\.json"):
        Tokenizer.from_folder(tmp_path)


def test_a_tokenizer_with_code_of_its_own_is_refused(tmp_path: Path) -> None:
    learn_byte_level().save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": "x.Y"}}')

    with pytest.raises(UnsupportedModel, match="never runs such code"):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize(
    ("decoder", "named"),
    [
        (None, "none at all"),
        ({"type": "WordPiece", "prefix": "##", "cleanup": True}, "WordPiece"),
        ({"type": "Replace", "pattern": {"Regex": "a+"}, "content": "b"}, "Regex"),
        ({"type": "Strip", "content": " ", "start": 2, "stop": 0}, "Strip"),
    ],
)
def test_an_unknown_way_to_spell_text_is_refused_by_name(
    tmp_path: Path, decoder: dict[str, object] | None, named: str
) -> None:
    learn_byte_level().save(str(tmp_path / "tokenizer.json"))
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    (tmp_path / "tokenizer.json").write_text(json.dumps(content | {"decoder": decoder}))

    with pytest.raises(UnsupportedModel, match=named):
        Tokenizer.from_folder(tmp_path)


@pytest.mark.parametrize("kept", [0, 1, 100, 1000, 5000])
def test_a_truncated_tokenizer_is_an_error(tmp_path: Path, kept: int) -> None:
    learn_byte_level().save(str(tmp_path / "tokenizer.json"))
    content = (tmp_path / "tokenizer.json").read_bytes()
    (tmp_path / "tokenizer.json").write_bytes(content[:kept])

    with pytest.raises(UnsupportedModel, match=r"cannot be read"):
        Tokenizer.from_folder(tmp_path)


def test_the_pair_of_files_and_tokenizer_json_give_the_same_ids(
    shared_data: Path, tmp_path: Path
) -> None:
    pair = Tokenizer.from_folder(shared_data / "tokenizers" / "gpt2")
    pair._backend.save(str(tmp_path / "tokenizer.json"))
    whole = Tokenizer.from_folder(tmp_path)
    text = "It was the best of times,\n\tit was the worst \u2026 \U0001f984"

    assert whole.encode(text) == pair.encode(text)
    assert whole.eos_token_ids == pair.eos_token_ids == {50_256}


def test_a_pair_of_files_of_another_tokenizer_is_not_taken_for_gpt2s(
    shared_data: Path, tmp_path: Path
) -> None:
    for name in ("vocab.json", "merges.txt"):
        shutil.copyfile(shared_data / "tokenizers" / "gpt2" / name, tmp_path / name)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "NoSuchTokenizer"}')

    with pytest.raises(UnsupportedModel):
        Tokenizer.from_folder(tmp_path)
