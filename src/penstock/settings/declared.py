"""Every setting with its default, its limits and its words. Reads nothing; see `sources.py`."""

from hashlib import sha256
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from platformdirs import user_data_path
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
)
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


def _check_pairs(pairs: tuple[str, ...]) -> tuple[str, ...]:
    for pair in pairs:
        model, equals, draft = pair.partition("=")
        if not (model.strip() and equals and draft.strip()) or model == draft:
            raise ValueError(f"write {pair!r} as MODEL=DRAFT, two different models")
    return pairs


def _check_networks(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        ip_network(value)  # its own message names the value
    return values


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Pairs = Annotated[Names, AfterValidator(_check_pairs)]
Networks = Annotated[Names, AfterValidator(_check_networks)]


def _setting(default: Any, description: str, *aliases: str, **limits: Any) -> Any:
    """A setting that also answers to the names the replaced systems gave it."""
    choices = AliasChoices(*aliases) if aliases else None
    return Field(default, description=description, validation_alias=choices, **limits)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    return host in {"localhost", "::1"} or host.startswith("127.")


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
    max_connections: int = Field(
        1024, ge=1, description="Connections open at once; further ones are turned away."
    )
    max_upload_bytes: int = Field(
        20 * 2**20, ge=1024, description="Largest file that can be uploaded."
    )
    max_jobs: int = Field(100, ge=1, description="Unfinished jobs that one caller may have.")
    batch_lines: int = Field(
        4, ge=1, description="Requests of batches under way at once, beside interactive ones."
    )
    jobs_at_once: int = Field(4, ge=1, description="Jobs that one process does side by side.")
    lease_seconds: float = Field(
        8,
        ge=1,
        description="How long after a server was killed another, or itself anew, goes on with "
        "its jobs.",
    )
    days_jobs_kept: float = Field(
        30, gt=0, description="How many days a job is kept after its end, with its result."
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
    requests_per_minute: int | None = Field(
        600, ge=0, description="Requests for texts that a user may send a minute; none: any number."
    )
    requests_per_day: int | None = Field(
        None, ge=0, description="Requests for texts that a user may send a day, from 00:00 UTC on."
    )
    tokens_per_minute: int | None = Field(
        None, ge=0, description="Tokens, prompts included, that a user may use a minute."
    )
    tokens_per_day: int | None = Field(
        None, ge=0, description="Tokens, prompts included, that a user may use a day."
    )
    max_streams: int | None = Field(
        8, ge=0, description="Requests for texts that a user may have under way at once."
    )
    days_history_kept: float = Field(
        90, gt=0, description="How many days what was generated is kept in the history."
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


class TrainingSettings(Group):
    """How much of the machine training runs of the server take, so that serving goes on beside."""

    nice: int = Field(
        10, ge=0, le=19, description="How far they stand back: 0 not at all, 19 as far as can be."
    )
    threads: int = Field(1, ge=1, description="CPU threads that a training run has at most.")


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
    draft_models: Pairs = Field(
        (),
        description="Smaller models that draft for larger ones with the same tokenizer, as "
        "MODEL=DRAFT, separated by commas: `gpt2-medium=distilgpt2`. Both are in memory then.",
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
    executor: Literal["embedded", "separate", "celery"] = Field(
        "embedded",
        description="Who does jobs: the server itself; `penstock executor` processes that share "
        "its database; or such that hear of jobs from a broker.",
    )
    broker_url: SecretStr | None = Field(
        None,
        description="Broker for the executor `celery`, as redis://host/0 or amqp://user@host//.",
    )
    broker_url_file: Path | None = Field(None, description="File that holds the broker's URL.")
    broker_queue: str = Field(
        "penstock", min_length=1, max_length=64, description="The queue on that broker."
    )
    cache_mib: int = Field(
        64,
        ge=0,
        description="Memory for answers that are given again where a request must come out the "
        "same; 0 for none.",
    )
    cache_url: SecretStr | None = Field(
        None, description="Redis that keeps such answers for several servers, as redis://host/1."
    )
    cache_url_file: Path | None = Field(None, description="File that holds that Redis's URL.")
    limits_url: SecretStr | None = Field(
        None,
        description="Redis that counts what users have taken of their limits, for several servers, "
        "as redis://host/2; each server counts for itself if unset.",
    )
    limits_url_file: Path | None = Field(None, description="File that holds that Redis's URL.")
    history: bool = Field(
        True, description="Keep what is generated in its owner's history, in the database."
    )
    private_webhooks: bool = Field(
        False, description="Webhooks may go to private addresses and any port."
    )
    cors_origins: Names = Field(
        (), description="Web origins whose pages may call the API, separated by commas; none."
    )
    allowed_hosts: Names = Field(
        (), description="Host names the server answers to, besides those of the loopback address."
    )
    auth: Literal["auto", "required", "off"] = Field(
        "auto",
        description="Who may use the server: `auto`: on this machine whoever sits at it, beyond it "
        "who signs in; `required`: only who signs in; `off`: whoever connects.",
    )
    registration: Literal["open", "approval", "closed"] = Field(
        "closed",
        description="Whether strangers may make themselves an account, with an administrator's "
        "approval or without.",
    )
    secret_key: SecretStr | None = _setting(
        None,
        "Secret that signs access tokens, the same on all servers of one database; one is made "
        "and kept in `data_dir` if unset.",
        "PENSTOCK_SECRET_KEY",
        "JWT_SECRET_KEY",
    )
    secret_key_file: Path | None = _setting(
        None,
        "File that holds the secret that signs access tokens.",
        "PENSTOCK_SECRET_KEY_FILE",
        "JWT_SECRET_KEY_FILE",
    )
    token_algorithm: Literal["HS256", "HS384", "HS512"] = _setting(
        "HS256",
        "How access tokens are signed; a token signed otherwise is refused.",
        "PENSTOCK_TOKEN_ALGORITHM",
        "ALGORITHM",
    )
    token_minutes: int = _setting(
        30,
        "How long an access token is good.",
        "PENSTOCK_TOKEN_MINUTES",
        "ACCESS_TOKEN_EXPIRE_MINUTES",
        ge=1,
        le=1440,
    )
    admin_username: str = Field(
        "admin", min_length=1, description="Name of the first administrator that a start makes."
    )
    admin_password: SecretStr | None = Field(
        None, description="Password of the first administrator, made at start where there is none."
    )
    admin_password_file: Path | None = Field(
        None, description="File that holds the password of the first administrator."
    )
    trusted_proxies: Networks = Field(
        (),
        description="Addresses or networks of reverse proxies, separated by commas, whose "
        "X-Forwarded-For says who a client is; nobody else's is heeded.",
    )
    telemetry: Literal["off", "otlp"] = Field(
        "off",
        description="Whether traces and metrics are sent by OpenTelemetry, to where "
        "OTEL_EXPORTER_OTLP_ENDPOINT says; needs the `otel` extra.",
    )
    insecure_no_auth: bool = Field(
        False, description="Listen beyond this machine although anyone who connects may generate."
    )
    model_changes: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Whether clients may load, unload, fetch and remove models, and say how long "
        "they stay: `auto` administrators, and where this machine alone can connect, whoever does; "
        "`on` whoever may use the server.",
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
    training: TrainingSettings = Field(default_factory=TrainingSettings)

    @property
    def preload(self) -> tuple[str, ...]:
        """The models to load at start: the default one first, each once."""
        return tuple(dict.fromkeys((self.model, *self.models)))

    @property
    def drafts(self) -> tuple[tuple[str, str], ...]:
        """Models that have a draft model, each with that."""
        pairs = (pair.partition("=") for pair in self.draft_models)
        return tuple((model.strip(), draft.strip()) for model, _, draft in pairs)

    @property
    def hub_token(self) -> str | None:
        """The token for the hub in the clear, if one is set."""
        return None if self.hf_token is None else self.hf_token.get_secret_value()

    @property
    def is_private(self) -> bool:
        """Only this machine can connect, and no other name leads to it."""
        return is_loopback(self.host) and not self.allowed_hosts

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
