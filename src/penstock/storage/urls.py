"""From an operator's database URL to one that names our driver. Connects to nothing."""

from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from penstock.errors import ConfigError

DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}
EXAMPLES = "Use postgresql://user:password@host/database or sqlite:////folder/file.db."
FILE_NAME = "penstock.db"


def default_url(data_dir: Path) -> str:
    """The database in the data directory."""
    return URL.create("sqlite", database=str(data_dir.absolute() / FILE_NAME)).render_as_string()


def with_driver(text: str) -> URL:
    """The URL with our driver for its kind of database. Raises `ConfigError`; tells no password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise ConfigError("The database URL cannot be read.", EXAMPLES) from error
    kind = url.drivername.partition("+")[0]
    if kind not in DRIVERS:
        raise ConfigError(f"There is no database of kind {kind!r} here.", EXAMPLES)
    if kind == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError("The database URL names no file.", EXAMPLES)
    if kind != "sqlite" and find_spec("psycopg") is None:
        raise ConfigError(
            "PostgreSQL needs a driver.", "Install it: pip install penstock[postgres]."
        )
    return url.set(drivername=DRIVERS[kind])
