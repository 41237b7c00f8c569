"""Every setting with its default, its limits and its words. Reads nothing; see `sources.py`."""

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "PENSTOCK_"
NESTING = "__"
DEFAULT_MODEL = "penstock-tiny"


def _split(value: object) -> object:
    """A comma-separated string, as environments hold lists, becomes its parts."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


def _setting(default: Any, description: str, *aliases: str, **limits: Any) -> Any:
    """A setting that also answers to the names the replaced systems gave it."""
    choices = AliasChoices(*aliases) if aliases else None
    return Field(default, description=description, validation_alias=choices, **limits)


class Group(BaseModel):
    """Settings that belong together; in the environment `PENSTOCK_<GROUP>__<NAME>`."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_default=True)


class LimitSettings(Group):
    """How much the server takes on."""

    max_in_flight: int = Field(128, ge=1, description="Texts under way at once; more are refused.")
    max_waiting_tokens: int = Field(
        32_768,
        ge=1,
        description="About how many tokens of prompts may wait to be read; more are refused.",
    )
    max_wait_seconds: float | None = Field(
        120, gt=0, description="How long a request may wait for its turn before it is refused."
    )
    max_body_bytes: int = Field(2 * 2**20, ge=1024, description="Largest request body.")
    max_upload_bytes: int = Field(
        20 * 2**20, ge=1024, description="Largest file that can be uploaded."
    )
    max_jobs: int = Field(100, ge=1, description="Unfinished batches that one caller may have.")
    batch_lines: int = Field(
        4, ge=1, description="Requests of batches under way at once, beside interactive ones."
    )
    lease_seconds: float = Field(
        30,
        ge=1,
        description="How long after a server was killed another, or itself anew, goes on with "
        "its batches.",
    )
    memory_mib: int | None = Field(
        None,
        ge=1,
        description="Memory for all loaded models together; what the machine has free if unset.",
    )
    adapter_mib: int = Field(
        256, ge=1, description="Memory for the adapters of a model together, per model."
    )
    keep_alive_seconds: float | None = Field(
        None,
        ge=0,
        description="Unload a model that was loaded on first use after so long without a request; "
        "never if unset.",
    )
    drain_seconds: float = Field(
        90, ge=0, description="How long running texts may take to finish when the server stops."
    )


class EngineSettings(Group):
    """How the engine spends memory and time."""

    dtype: Literal["float32", "bfloat16", "int8", "int4"] = Field(
        "float32",
        description="Number format of the weights in memory; `int8` and `int4` round them in "
        "groups when a model is loaded.",
    )
    max_batch_tokens: int = Field(256, ge=16, description="Tokens computed per engine step.")
    max_sequences: int = Field(64, ge=1, description="Sequences computed together.")
    cache_mib: int = Field(1024, ge=1, description="Memory for keys and values, per model.")
    prefix_cache: bool = Field(
        True,
        description="Compute what prompts of one caller have in common at their beginning once.",
    )


class Settings(BaseSettings):
    """Everything an operator can set. Frozen; made by `load_settings`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter=NESTING,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
        validate_default=True,
    )

    host: str = _setting("127.0.0.1", "Address to listen on.", "PENSTOCK_HOST", "APP_HOST")
    port: int = _setting(
        8000, "Port to listen on.", "PENSTOCK_PORT", "APP_PORT", "PORT", ge=0, le=65535
    )
    model: str = _setting(
        DEFAULT_MODEL,
        "Model that answers when a request names none.",
        "PENSTOCK_MODEL",
        "MODEL_NAME",
        "APP_MODEL_NAME",
        min_length=1,
    )
    models: Names = Field(
        (), description="Models to load at start, separated by commas; the default model always is."
    )
    adapters: Names = Field(
        (),
        description="Folders of LoRA adapters, separated by commas, besides those in the "
        "`adapters` folder of the data directory.",
    )
    comparison_models: Names = Field(
        (), description="Models that `/generate-text/` compares; those loaded at start if empty."
    )
    max_length: int = _setting(
        100,
        "Total tokens, prompt included, when a request sets no length.",
        "PENSTOCK_MAX_LENGTH",
        "APP_MAX_LENGTH",
        ge=1,
        le=1_000_000,
    )
    temperature: float | None = _setting(
        None,
        "Temperature when a request sets none; each strategy's own if unset.",
        "PENSTOCK_TEMPERATURE",
        "APP_TEMPERATURE",
        ge=0,
        le=2,
    )
    threads: int | None = Field(None, ge=1, description="CPU threads; all cores if unset.")
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("penstock"),
        description="Folder for what Penstock keeps.",
    )
    database_url: SecretStr | None = Field(
        None,
        description="Database for what outlasts the server, as "
        "postgresql://user:password@host/database; SQLite in `data_dir` if unset.",
    )
    database_url_file: Path | None = Field(None, description="File that holds the database URL.")
    cors_origins: Names = Field(
        (), description="Web origins whose pages may call the API, separated by commas; none."
    )
    allowed_hosts: Names = Field(
        (), description="Host names the server answers to, besides those of the loopback address."
    )
    insecure_no_auth: bool = Field(
        False, description="Listen beyond this machine although anyone who connects may generate."
    )
    model_changes: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether clients may load, unload, fetch and remove models, and say how long "
        "they stay: `auto` only where this machine alone can connect.",
    )
    hf_token: SecretStr | None = _setting(
        None,
        "Token for downloads from the Hugging Face hub.",
        "PENSTOCK_HF_TOKEN",
        "HUGGINGFACE_TOKEN",
        "HF_TOKEN",
    )
    hf_token_file: Path | None = _setting(
        None,
        "File that holds the token for the Hugging Face hub.",
        "PENSTOCK_HF_TOKEN_FILE",
        "HUGGINGFACE_TOKEN_FILE",
    )
    watermark_key: SecretStr | None = Field(
        None,
        min_length=8,
        description="Secret that decides the watermark of texts whose request brings no key.",
    )
    watermark_key_file: Path | None = Field(
        None, description="File that holds the secret for watermarks."
    )
    limits: LimitSettings = Field(default_factory=LimitSettings)
    engine: EngineSettings = Field(default_factory=EngineSettings)

    @property
    def preload(self) -> tuple[str, ...]:
        """The models to load at start: the default one first, each once."""
        return tuple(dict.fromkeys((self.model, *self.models)))

    @property
    def hub_token(self) -> str | None:
        """The token for the hub in the clear, if one is set."""
        return None if self.hf_token is None else self.hf_token.get_secret_value()

    @property
    def watermark_number(self) -> int | None:
        """The watermark's secret as the number that keys it, if one is set."""
        if self.watermark_key is None:
            return None
        digest = sha256(self.watermark_key.get_secret_value().encode()).digest()
        return 1 + int.from_bytes(digest[:6])

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `load_settings` gathered; nothing is read behind its back."""
        return (init_settings,)
