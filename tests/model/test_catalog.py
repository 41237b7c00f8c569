"""The catalog: ids that must resolve, names that must not, and folders by explicit wish only."""

import os
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import ModelNotFound
from penstock.model.catalog import CATALOG, NATIVE_FAMILIES, find, find_configured
from tests.model.folders import tiny_config, write_model


@pytest.mark.parametrize(
    ("name", "hub_id"),
    [
        ("penstock-tiny", None),
        ("gpt2", "openai-community/gpt2"),
        ("gpt2-medium", "openai-community/gpt2-medium"),
        ("distilgpt2", "distilbert/distilgpt2"),
        ("qwen", "Qwen/Qwen2-0.5B-Instruct"),
        ("qwen2-0.5b-instruct", "Qwen/Qwen2-0.5B-Instruct"),
        ("tinyllama-1.1b", "TinyLlama/TinyLlama-1.1B-Chat-v1.0"),
        ("gpt-neo-125m", "EleutherAI/gpt-neo-125m"),
        ("gpt-neo-1.3b", "EleutherAI/gpt-neo-1.3B"),
        ("gpt-neo-2.7b", "EleutherAI/gpt-neo-2.7B"),
        ("flan-t5-small", "google/flan-t5-small"),
        ("flan-t5-base", "google/flan-t5-base"),
        ("t5-large", "google-t5/t5-large"),
        ("openai-community/gpt2", "openai-community/gpt2"),
        ("someone/some-model", "someone/some-model"),
    ],
)
def test_every_promised_name_resolves(name: str, hub_id: str | None) -> None:
    assert find(name).hub_id == hub_id


def test_a_hub_id_of_the_catalog_is_that_entry() -> None:
    assert find("openai-community/gpt2") is find("gpt2")
    assert find("qwen2-0.5b-instruct") is find("qwen")


def test_the_built_in_model_comes_first_and_is_the_only_one() -> None:
    assert [entry.id for entry in CATALOG if entry.builtin] == [CATALOG[0].id]


def test_no_name_means_two_models() -> None:
    names = [n for entry in CATALOG for n in (entry.id, entry.hub_id, *entry.aliases) if n]

    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("name", "model_id", "revision"),
    [
        ("gpt2@v1.0", "gpt2@v1.0", "v1.0"),
        ("a/b@0123456789abcdef0123456789abcdef01234567", None, None),
        ("a/b", "a/b", "main"),
    ],
)
def test_a_revision_is_part_of_the_id(
    name: str, model_id: str | None, revision: str | None
) -> None:
    entry = find(name)

    assert entry.id == (model_id or name)
    assert entry.revision == (revision or name.partition("@")[2])
    assert find(entry.id) == entry


def test_the_built_in_model_has_no_revisions() -> None:
    with pytest.raises(ModelNotFound, match="no revisions"):
        find("penstock-tiny@main")


@pytest.mark.parametrize(
    ("name", "close"), [("gpt", "gpt2"), ("gtp2-medium", "gpt2-medium"), ("qwenn", "qwen")]
)
def test_a_misspelt_name_is_answered_with_close_ones(name: str, close: str) -> None:
    with pytest.raises(ModelNotFound, match=rf"Did you mean .*{close}") as caught:
        find(name)

    assert caught.value.param == "model"


HOSTILE = [
    "", ".", "..", "../gpt2", "gpt2/..", "gpt2/../../etc", "/etc/passwd", "~/model", "a/b/c",
    "a//b", "a\\b", "C:\\models", "a/b@..", "a/b@../x", "a/b@", "@main", "a/b@x/y", "a--b/c",
    "a/b--c", "a b", "a\0b", "a\nb", "gpt2\n", "-x", "_x/y", ".hidden/x", "a/.hidden",
    "%2e%2e/x", "http://host/x", "file:///etc", "a/b?x", "a/b#x", "\u0433pt2", "a/b@" + "x" * 65,
    "x" * 97, "x" * 10_000, "sha256:" + "0" * 64,
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_a_path_or_an_address_is_not_found(name: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        find(name)

    assert len(str(caught.value)) < 500


@given(name=st.text(string.ascii_letters + string.digits + "./\\@_-~%: \n\0", max_size=30))
def test_whatever_is_found_stays_inside_the_cache(name: str) -> None:
    try:
        entry = find(name)
    except ModelNotFound:
        return

    for part in filter(None, (entry.id, entry.hub_id, entry.revision)):
        joined = os.path.normpath(f"/cache/models--{part.replace('/', '--')}")
        assert joined.startswith("/cache/models--")
        assert ".." not in part


def test_a_request_never_finds_a_folder_but_an_operator_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "my-model", tiny_config())
    monkeypatch.chdir(tmp_path)

    for name in ("my-model", "./my-model", str(tmp_path / "my-model")):
        with pytest.raises(ModelNotFound):
            find(name)
        entry = find_configured(name)
        assert (entry.id, entry.family, entry.folder) == (
            "my-model", "gpt2", tmp_path / "my-model",
        )  # fmt: skip


def test_an_operators_name_that_is_no_folder_is_a_name() -> None:
    assert find_configured("gpt2") is find("gpt2")
    assert find_configured("a/b").hub_id == "a/b"


@pytest.mark.parametrize("name", ["./nothing", "/nothing/here", "~/nothing-here"])
def test_a_folder_without_a_model_is_an_error(name: str) -> None:
    with pytest.raises(ModelNotFound, match=r"no config\.json"):
        find_configured(name)


@pytest.mark.parametrize("name", ["gpt2", "two words", "-dash"])
def test_a_folder_whose_name_cannot_be_an_id_is_refused(tmp_path: Path, name: str) -> None:
    write_model(tmp_path / name, tiny_config())

    with pytest.raises(ModelNotFound, match="Rename it"):
        find_configured(str(tmp_path / name))


def test_every_model_of_the_catalog_is_of_a_family_of_ours() -> None:
    assert {entry.family for entry in CATALOG} <= NATIVE_FAMILIES


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_id", "changes"),
    [
        ("gpt2", {}),
        ("gpt2-medium", {"n_embd": 1024, "n_layer": 24, "n_head": 16}),
        ("distilgpt2", {"n_layer": 6}),
    ],
)
def test_the_number_of_parameters_is_that_of_the_published_configuration(
    model_id: str, changes: dict[str, int]
) -> None:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(**changes))

    assert find(model_id).num_parameters == model.num_parameters()
    assert find(model_id).memory_bytes() == 4 * model.num_parameters()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_id", "changes"),
    [
        ("t5-small", {}),
        ("t5-base", {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12}),
        ("t5-large", {"d_model": 1024, "d_ff": 4096, "num_layers": 24, "num_heads": 16}),
    ],
)
def test_a_t5_has_the_published_number_of_parameters(
    model_id: str, changes: dict[str, int]
) -> None:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    with torch.device("meta"):
        model = T5ForConditionalGeneration(T5Config(**changes))

    assert find(model_id).num_parameters == model.num_parameters()
