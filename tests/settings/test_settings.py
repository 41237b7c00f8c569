"""Settings: which source wins, the old names, and every problem at once."""

import os
from pathlib import Path

import pytest

from penstock.engine.config import EngineConfig
from penstock.errors import ConfigError
from penstock.settings import Settings, effective_settings, load_settings

OLD_NAMES = {
    "MODEL_NAME": ("model", "m", "m"),
    "APP_MODEL_NAME": ("model", "m", "m"),
    "APP_MAX_LENGTH": ("max_length", "77", 77),
    "APP_TEMPERATURE": ("temperature", "0.3", 0.3),
    "APP_HOST": ("host", "127.0.0.9", "127.0.0.9"),
    "APP_PORT": ("port", "81", 81),
    "PORT": ("port", "82", 82),
    "ALGORITHM": ("token_algorithm", "HS512", "HS512"),
    "ACCESS_TOKEN_EXPIRE_MINUTES": ("token_minutes", "45", 45),
}
OWN_NAMES = {
    "PENSTOCK_MODELS": ("models", "a, b,,c", ("a", "b", "c")),
    "PENSTOCK_CORS_ORIGINS": ("cors_origins", "http://a,null", ("http://a", "null")),
    "PENSTOCK_DRAFT_MODELS": ("draft_models", "a=b, c = d", ("a=b", "c = d")),
    "PENSTOCK_DATA_DIR": ("data_dir", "/x", Path("/x")),
    "PENSTOCK_THREADS": ("threads", "3", 3),
    "PENSTOCK_PORT": ("port", "83", 83),
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and an environment without our names."""
    for name in os.environ:
        if name.startswith("PENSTOCK_") or name in OLD_NAMES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("PENSTOCK_CONFIG", str(tmp_path / "none.toml"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def source_of(name: str, **options: object) -> str:
    return next(s.source for s in effective_settings(**options) if s.name == name)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [*OLD_NAMES, *OWN_NAMES])
def test_every_name_in_the_environment_reaches_its_setting(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting, text, value = (OLD_NAMES | OWN_NAMES)[name]
    monkeypatch.setenv(name, text)

    assert getattr(load_settings(), setting) == value
    assert source_of(setting) == "environment"


@pytest.mark.parametrize("pair", ["a", "a=", "=b", "a=a"])
def test_a_draft_is_named_beside_its_model(pair: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PENSTOCK_DRAFT_MODELS", pair)

    with pytest.raises(ConfigError, match="as MODEL=DRAFT"):
        load_settings()


def test_flag_beats_environment_beats_dotenv_beats_file_beats_default(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = nowhere / "penstock.toml"
    found = []
    found.append((load_settings().port, source_of("port")))
    file.write_text("port = 1\n")
    found.append((load_settings(config_file=file).port, source_of("port", config_file=file)))
    (nowhere / ".env").write_text("APP_PORT=2\nUNRELATED=x\n")
    found.append((load_settings(config_file=file).port, source_of("port", config_file=file)))
    monkeypatch.setenv("PORT", "3")
    found.append((load_settings(config_file=file).port, source_of("port", config_file=file)))
    monkeypatch.setenv("PENSTOCK_PORT", "4")
    found.append((load_settings(config_file=file).port, source_of("port", config_file=file)))
    flags = {"port": 5}
    found.append((load_settings(flags, config_file=file).port, source_of("port", flags=flags)))

    assert found == [
        (8000, "default"),
        (1, str(file)),
        (2, ".env"),
        (3, "environment"),
        (4, "environment"),
        (5, "flag"),
    ]


def test_a_flag_that_was_not_given_changes_nothing() -> None:
    assert load_settings({"port": None, "models": None}) == load_settings()


def test_groups_are_reached_by_nesting(nowhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = nowhere / "penstock.toml"
    file.write_text("[limits]\nmax_in_flight = 3\ndrain_seconds = 1\n")
    monkeypatch.setenv("PENSTOCK_LIMITS__MAX_IN_FLIGHT", "5")

    settings = load_settings({"engine.max_sequences": 2}, config_file=file)

    assert settings.limits.max_in_flight == 5
    assert settings.limits.drain_seconds == 1
    assert settings.engine.max_sequences == 2
    assert source_of("limits.drain_seconds", config_file=file) == str(file)


def test_every_problem_is_told_at_once_with_where_it_came_from(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = nowhere / "penstock.toml"
    file.write_text("hosst = 'x'\n[limits]\nmax_body_bytes = 1\n")
    monkeypatch.setenv("PENSTOCK_PROT", "1")
    monkeypatch.setenv("APP_PORT", "many")
    (nowhere / ".env").write_text("PENSTOCK_THREADS=0\n")

    with pytest.raises(ConfigError) as caught:
        load_settings(config_file=file)

    assert str(caught.value) == (
        "PENSTOCK_PROT in the environment is not a setting. Did you mean PENSTOCK_PORT? "
        f"hosst in {file} is not a setting. "
        "port (environment): Input should be a valid integer, unable to parse string as an "
        "integer. "
        "threads (.env): Input should be greater than or equal to 1. "
        f"limits.max_body_bytes ({file}): Input should be greater than or equal to 1024. "
        "`penstock config show` lists every setting."
    )


@pytest.mark.parametrize("text", ["port = ", "[limits\n", "\x00"])
def test_a_config_file_that_is_not_toml_is_named(nowhere: Path, text: str) -> None:
    file = nowhere / "penstock.toml"
    file.write_text(text)

    with pytest.raises(ConfigError, match=f"{file} is not valid TOML"):
        load_settings(config_file=file)


def test_a_config_file_that_was_named_must_exist(nowhere: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load_settings(config_file=nowhere / "absent.toml")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_listening_beyond_this_machine_without_sign_in_must_be_meant(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PENSTOCK_AUTH", "off")
    with pytest.raises(ConfigError, match="PENSTOCK_AUTH=required"):
        load_settings({"host": host})

    monkeypatch.setenv("PENSTOCK_INSECURE_NO_AUTH", "true")
    assert load_settings({"host": host}).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "::1"])
def test_loopback_needs_no_consent(host: str) -> None:
    assert load_settings({"host": host}).host == host


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUGGINGFACE_TOKEN", "hf_verysecret")

    shown = repr(effective_settings()) + repr(load_settings())

    assert "hf_verysecret" not in shown
    assert load_settings().hf_token is not None
    assert source_of("hf_token") == "environment"


def test_the_default_model_is_loaded_first_and_each_once() -> None:
    settings = Settings(model="b", models=("a", "b", "c"))

    assert settings.preload == ("b", "a", "c")


def test_the_engines_defaults_are_the_settings_defaults() -> None:
    ours, engines = Settings().engine, EngineConfig()

    assert ours.max_batch_tokens == engines.max_batch_tokens
    assert ours.max_sequences == engines.max_sequences
    assert ours.cache_mib * 2**20 == engines.cache_bytes
    assert ours.prefix_cache == engines.prefix_cache


def test_every_setting_has_a_description() -> None:
    assert all(setting.description.endswith(".") for setting in effective_settings())


def test_the_hubs_token_comes_from_wherever_it_is_set(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = nowhere / "penstock.toml"
    secret = nowhere / "secret"
    secret.write_text("hf_from_a_file\n")
    found = [load_settings().hub_token]
    file.write_text(f'hf_token_file = "{secret}"\n')
    found.append(load_settings(config_file=file).hub_token)
    (nowhere / ".env").write_text("HUGGINGFACE_TOKEN=hf_from_dotenv\n")
    found.append(load_settings(config_file=file).hub_token)
    monkeypatch.setenv("PENSTOCK_HF_TOKEN_FILE", str(secret))
    found.append(load_settings(config_file=file).hub_token)

    assert found == [None, "hf_from_a_file", "hf_from_dotenv", "hf_from_a_file"]
    assert source_of("hf_token", config_file=file) == "environment"
    shown = {s.name: s.value for s in effective_settings(config_file=file)}
    assert "hf_from_a_file" not in shown.values()


def test_a_secret_that_cannot_be_read_is_a_problem_that_names_the_file(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (nowhere / "empty").write_text(" \n")
    for name, message in [("absent", "cannot be read"), ("empty", "is empty")]:
        monkeypatch.setenv("PENSTOCK_HF_TOKEN_FILE", name)
        with pytest.raises(ConfigError, match=rf"hf_token_file \(environment\): {name} {message}"):
            load_settings()


def test_a_secret_that_is_set_twice_in_one_place_is_a_problem(
    nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("PENSTOCK_HF_TOKEN_FILE", "file")

    with pytest.raises(ConfigError, match="hf_token and hf_token_file are both set") as refused:
        load_settings()

    assert "hf_secret" not in str(refused.value)
