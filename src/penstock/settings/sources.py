"""Gathers settings from flags, environment, `.env` and config file, and tells what came from where.

Every problem is reported at once; a mistyped name is one. Knows no single setting but the host.
"""

import difflib
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_config_path
from pydantic import AliasChoices, SecretStr, ValidationError
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    TomlConfigSettingsSource,
)

from penstock.errors import ConfigError
from penstock.settings.declared import NESTING, PREFIX, Group, Settings, is_loopback

MASK = "********"
CONFIG_VARIABLE = "PENSTOCK_CONFIG"
# Names with our prefix that the repository's tests read; a server they start must not mind them.
TEST_VARIABLES = frozenset(
    {
        "PENSTOCK_REQUIRE",
        "PENSTOCK_SHARED_DATA",
        "PENSTOCK_CHROMIUM",
        "PENSTOCK_TEST_POSTGRESQL",
        "PENSTOCK_STRESS_ROUNDS",
        "PENSTOCK_STRESS_LINES",
        "PENSTOCK_LOAD_ROUNDS",
        "PENSTOCK_FULL_SHAPES",
        "PENSTOCK_MACHINE_STEPS",
        "PENSTOCK_STRESS_JOBS",
        "PENSTOCK_STRESS_STREAMS",
        "PENSTOCK_STRESS_REPORT",
        "PENSTOCK_TEST_REDIS",
        "PENSTOCK_TEST_KERNELS",
        "PENSTOCK_HOSTILE_SECONDS",
        "PENSTOCK_HOSTILE_VALUES",
        "PENSTOCK_FUZZ_CASES",
        "PENSTOCK_STREAM_CASES",
        "PENSTOCK_STRATEGY_CASES",
        "PENSTOCK_DRAWS",
        "PENSTOCK_SCHEMAS",
    }
)


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """One setting as it is now. Secrets are masked."""

    name: str  # dotted, as in the config file
    variable: str  # its name in the environment
    value: str
    source: str
    description: str


@dataclass(frozen=True, slots=True)
class _Layer:
    """One source of settings, by dotted name."""

    source: str
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A single setting: where it sits and which names reach it."""

    name: str
    variables: tuple[str, ...]
    description: str


def load_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    env_file: Path = Path(".env"),
    config_file: Path | None = None,
) -> Settings:
    """Settings, or one `ConfigError` that lists every problem at once.

    `flags` are by dotted name, `limits.max_in_flight`; one that is `None` was not given.
    """
    layers, problems = _read_layers(flags or {}, env_file, config_file)
    try:
        settings = Settings(**_nested(_merged(layers)))
        problems += _problems_of(settings)
    except ValidationError as error:
        problems += [_explain(e, layers) for e in error.errors()]
    if problems:
        raise ConfigError(" ".join(problems), "`penstock config show` lists every setting.")
    return settings


def effective_settings(
    flags: Mapping[str, Any] | None = None,
    *,
    env_file: Path = Path(".env"),
    config_file: Path | None = None,
) -> list[EffectiveSetting]:
    """Every setting with its value and where it came from. Raises as `load_settings` does."""
    settings = load_settings(flags, env_file=env_file, config_file=config_file)
    layers, _ = _read_layers(flags or {}, env_file, config_file)
    return [
        EffectiveSetting(
            name=leaf.name,
            variable=leaf.variables[0],
            value=_shown(_at(settings, leaf.name)),
            source=_source_of(leaf.name, layers),
            description=leaf.description,
        )
        for leaf in _LEAVES
    ]


def default_config_file() -> Path:
    """Where the config file is looked for when none is named."""
    named = os.environ.get(CONFIG_VARIABLE)
    return Path(named) if named else user_config_path("penstock") / "config.toml"


def _read_layers(
    flags: Mapping[str, Any], env_file: Path, config_file: Path | None
) -> tuple[list[_Layer], list[str]]:
    """All sources, the strongest first, and what is wrong with the names in them."""
    toml_file = config_file or default_config_file()
    if config_file is not None and not config_file.is_file():
        return [], [f"The config file {config_file} does not exist."]
    environment = EnvSettingsSource(Settings)
    dotenv = DotEnvSettingsSource(Settings, env_file=env_file)
    try:
        toml = _flat(TomlConfigSettingsSource(Settings, toml_file=toml_file)())
    except tomllib.TOMLDecodeError as error:
        return [], [f"{toml_file} is not valid TOML: {error}."]
    layers, problems = _with_secrets_read(
        [
            _Layer("flag", {name: value for name, value in flags.items() if value is not None}),
            _Layer("environment", _flat(environment())),
            _Layer(str(env_file), _flat(dotenv())),
            _Layer(str(toml_file), toml),
        ]
    )
    return layers, [
        *problems,
        *_unknown_variables(os.environ, "the environment"),
        *_unknown_variables(dotenv.env_vars, str(env_file)),
        *(f"{name} in {toml_file} is not a setting." for name in toml if name not in _NAMES),
    ]


def _with_secrets_read(layers: list[_Layer]) -> tuple[list[_Layer], list[str]]:
    """The layers with each secret that lies in a file, as strong as where the file is named."""
    read: list[_Layer] = []
    problems: list[str] = []
    for layer in layers:
        values = dict(layer.values)
        for name in _SECRETS_IN_FILES & values.keys():
            secret = name.removesuffix(_FILE)
            if secret in values:
                problems.append(f"{secret} and {name} are both set by {layer.source}; keep one.")
                continue
            try:
                values[secret] = _read_secret(Path(values[name]).expanduser())
            except (OSError, UnicodeDecodeError, ValueError) as error:
                problems.append(f"{name} ({layer.source}): {values[name]} {_why_unread(error)}.")
        read.append(_Layer(layer.source, values))
    return read, problems


def _read_secret(file: Path) -> str:
    secret = file.read_text(encoding="utf-8").strip()
    if not secret:
        raise ValueError("is empty")
    return secret


def _why_unread(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"cannot be read ({error.strerror})"
    return "is not text" if isinstance(error, UnicodeDecodeError) else str(error)


def _unknown_variables(variables: Iterable[str], source: str) -> list[str]:
    known = {v for leaf in _LEAVES for v in leaf.variables} | {CONFIG_VARIABLE} | TEST_VARIABLES
    return [
        f"{name.upper()} in {source} is not a setting.{_closest(name.upper(), known)}"
        for name in sorted(variables)
        if name.upper().startswith(PREFIX) and name.upper() not in known
    ]


def _closest(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def _problems_of(settings: Settings) -> list[str]:
    """What is wrong although each value alone is right."""
    is_open = settings.auth == "off" and not is_loopback(settings.host)
    if is_open and not settings.insecure_no_auth:
        return [
            f"auth=off and host={settings.host} let other machines generate without signing in; "
            "keep 127.0.0.1, set PENSTOCK_AUTH=required, or set PENSTOCK_INSECURE_NO_AUTH=true if "
            "that is what you want."
        ]
    return []


def _explain(error: Any, layers: list[_Layer]) -> str:
    parts = [str(part) for part in error["loc"]]
    parts[0] = _FIELD_OF_ALIAS.get(parts[0], parts[0])
    name = next((n for n in (".".join(parts[:2]), parts[0]) if n in _NAMES), ".".join(parts))
    source = _source_of(name, layers)
    return f"{name} ({source}): {error['msg']}."


def _source_of(name: str, layers: list[_Layer]) -> str:
    return next((layer.source for layer in layers if name in layer.values), "default")


def _merged(layers: list[_Layer]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for layer in reversed(layers):
        merged.update(layer.values)
    return merged


def _flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """`{"limits": {"max_in_flight": 3}}` becomes `{"limits.max_in_flight": 3}`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = _FIELD_OF_ALIAS.get(key, key)
        if isinstance(value, Mapping):
            flat.update({f"{name}.{inner}": v for inner, v in value.items()})
        else:
            flat[name] = value
    return flat


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        group, _, inner = name.partition(".")
        if inner:
            nested.setdefault(group, {})[inner] = value
        else:
            nested[name] = value
    return nested


def _leaves() -> Iterator[_Leaf]:
    for name, field in Settings.model_fields.items():
        group = field.annotation
        if isinstance(group, type) and issubclass(group, Group):
            for inner, inner_field in group.model_fields.items():
                variable = f"{PREFIX}{name}{NESTING}{inner}".upper()
                yield _Leaf(f"{name}.{inner}", (variable,), inner_field.description or "")
        else:
            choices = field.validation_alias
            own = (PREFIX + name.upper(),)
            variables = choices.choices if isinstance(choices, AliasChoices) else own
            yield _Leaf(name, tuple(map(str, variables)), field.description or "")


def _at(settings: Settings, name: str) -> object:
    value: object = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(value, tuple):
        return ",".join(value)
    return "" if value is None else str(value)


_LEAVES = tuple(_leaves())
_NAMES = {leaf.name for leaf in _LEAVES}
_FILE = "_file"  # `x_file` names the file that holds the secret `x`
_SECRETS_IN_FILES = {f"{name}{_FILE}" for name in _NAMES} & _NAMES
_FIELD_OF_ALIAS = {leaf.variables[0]: leaf.name for leaf in _LEAVES if "." not in leaf.name}
