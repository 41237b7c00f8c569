"""How long models stay, and where they come from, as Ollama's own client asks for it."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import ollama
import pytest

from penstock.settings import Settings
from tests.api.real_server import serving
from tests.fakes import FakeModels


@pytest.fixture
def models() -> FakeModels:
    return FakeModels()


@pytest.fixture
def url(models: FakeModels, tmp_path: Path) -> Iterator[str]:
    with serving(Settings(data_dir=tmp_path), models) as url:
        yield url


@pytest.fixture
def client(url: str) -> Iterator[ollama.Client]:
    with contextlib.closing(ollama.Client(host=url, timeout=60)) as client:
        yield client


def loaded(client: ollama.Client) -> dict[str | None, timedelta]:
    """The models that are loaded, and how long each stays."""
    now = datetime.now(UTC)
    return {
        model.model: model.expires_at - now
        for model in client.ps().models
        if model.expires_at is not None
    }


def ask(client: ollama.Client, route: str, keep_alive: str | float | None) -> None:
    """A question to the model `other`, by each of the routes that take a keep-alive."""
    if route == "generate":
        client.generate(
            model="other", prompt="x", options={"num_predict": 1}, keep_alive=keep_alive
        )
    elif route == "load":
        client.generate(model="other", keep_alive=keep_alive)
    elif route == "chat":
        messages = [{"role": "user", "content": "x"}]
        client.chat(
            model="other", messages=messages, options={"num_predict": 1}, keep_alive=keep_alive
        )
    elif route == "embed":
        client.embed(model="other", input="x", keep_alive=keep_alive)
    else:
        client.embeddings(model="other", prompt="x", keep_alive=keep_alive)


@pytest.mark.parametrize("route", ["generate", "load", "chat", "embed", "embeddings"])
def test_each_route_says_how_long_its_model_stays(client: ollama.Client, route: str) -> None:
    def left(keep_alive: str | float | None) -> float:
        ask(client, route, keep_alive)
        return loaded(client)["other"].total_seconds()

    year = 365 * 86_400.0

    assert left("5m") == pytest.approx(300, abs=20)
    assert left(None) == pytest.approx(300, abs=20), "it holds until another is sent"
    assert left("1h30m") == pytest.approx(5400, abs=20)
    assert left(90) == pytest.approx(90, abs=20)
    assert left(-1) > year
    assert left("-1m") > year


@pytest.mark.parametrize("keep_alive", [0, "0", "0s"])
def test_without_a_prompt_and_with_a_keep_alive_of_0_the_model_is_unloaded(
    client: ollama.Client, keep_alive: str | float
) -> None:
    ask(client, "load", None)
    assert loaded(client).keys() == {"penstock-tiny", "other"}

    written = client.generate(model="other", keep_alive=keep_alive)
    chatted = client.chat(model="penstock-tiny", messages=[], keep_alive=keep_alive)

    assert (written.done_reason, written.response) == ("unload", "")
    assert (chatted.done_reason, chatted.message.content) == ("unload", "")
    assert loaded(client) == {}
    assert client.generate(model="other", keep_alive=0).done_reason == "unload", "it may be gone"


def test_a_model_of_the_start_stays_until_a_request_says_how_long(client: ollama.Client) -> None:
    assert loaded(client)["penstock-tiny"] > timedelta(days=365)

    client.generate(model="penstock-tiny", keep_alive=60)

    assert loaded(client)["penstock-tiny"] < timedelta(seconds=61)


@pytest.mark.parametrize("keep_alive", ["soon", "5d", "", "1 m", "m", "1h-5m"])
def test_what_is_no_duration_is_refused_by_name(url: str, keep_alive: str) -> None:
    for path in ("generate", "chat", "embed", "embeddings"):
        body = {"model": "other", "input": "x", "prompt": "x", "keep_alive": keep_alive}
        refused = httpx2.post(f"{url}/api/{path}", json=body)

        assert refused.status_code == 400
        assert "keep_alive" in refused.json()["error"]


def test_a_model_that_there_is_not_is_a_404(client: ollama.Client) -> None:
    for name in ("nobody", "elsewhere"):
        with pytest.raises(ollama.ResponseError) as refused:
            client.generate(model=name, keep_alive=0)
        assert refused.value.status_code == 404


def test_a_model_is_pulled_and_deleted(client: ollama.Client, models: FakeModels) -> None:
    lines = list(client.pull("somebody/elsewhere", stream=True))

    assert (lines[0].status, lines[-1].status) == ("pulling manifest", "success")
    assert (lines[-2].status, lines[-2].completed) == ("pulling model.safetensors", 1000)
    assert all(line.total == 1000 for line in lines[1:-1])
    assert "elsewhere" in {model.model for model in client.list().models}
    assert client.pull("elsewhere").status == "success", "what is here is done at once"

    assert client.delete("elsewhere:latest").status == "success"
    assert models.fetched == set()
    with pytest.raises(ollama.ResponseError) as refused:
        client.generate(model="elsewhere", prompt="x")
    assert refused.value.status_code == 404


def test_what_cannot_be_pulled_or_deleted_says_why(client: ollama.Client, url: str) -> None:
    client.generate(model="other")
    refusals = []
    for refuse in (
        lambda: client.pull("gated"),
        lambda: list(client.pull("gated", stream=True)),
        lambda: client.pull("nobody"),
        lambda: client.pull("elsewhere", insecure=True),
        lambda: client.delete("other"),
        lambda: client.delete("nobody"),
    ):
        with pytest.raises(ollama.ResponseError) as refused:
            refuse()
        refusals.append(refused.value.status_code)

    assert refusals == [403, 403, 404, 400, 409, 404]
    for method, path in (("POST", "pull"), ("DELETE", "delete")):
        nameless = httpx2.request(method, f"{url}/api/{path}", json={})
        assert (nameless.status_code, nameless.json()["error"]) == (
            400,
            "model is missing. Send it.",
        )


def test_only_who_may_change_models_may_do_any_of_it(models: FakeModels, tmp_path: Path) -> None:
    settings = Settings(model_changes="off", data_dir=tmp_path)
    with (
        serving(settings, models) as url,
        contextlib.closing(ollama.Client(host=url, timeout=60)) as client,
    ):
        for refuse in (
            lambda: client.pull("elsewhere"),
            lambda: client.delete("elsewhere"),
            lambda: client.generate(model="penstock-tiny", keep_alive=0),
            lambda: client.generate(model="penstock-tiny", prompt="x", keep_alive="5m"),
        ):
            with pytest.raises(ollama.ResponseError) as refused:
                refuse()
            assert refused.value.status_code == 403
        assert client.generate(model="penstock-tiny", prompt="x").response
    assert models.fetched == set()
