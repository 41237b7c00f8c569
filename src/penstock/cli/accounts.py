"""What `penstock users` and `penstock keys` share: the accounts of the settings, and passwords.

They work on the database itself, whether a server runs or not.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import typer

if TYPE_CHECKING:
    from penstock.accounts.accounts import Accounts
    from penstock.accounts.users import User

T = TypeVar("T")


def with_accounts(work: "Callable[[Accounts], Awaitable[T]]") -> T:
    """Do something with the accounts of the settings' database."""
    from penstock.api.access import build_accounts, storage_of
    from penstock.settings import load_settings

    settings = load_settings()
    storage = storage_of(settings)

    async def do() -> T:
        await storage.open()
        try:
            return await work(build_accounts(settings, storage))
        finally:
            await storage.close()

    return asyncio.run(do())


async def user_named(accounts: "Accounts", name: str) -> "User":
    """The user. Raises `UnknownUser`."""
    from penstock.errors import UnknownUser

    user = await accounts.administration.user_named(name)
    if user is None:
        raise UnknownUser(f"There is no user {name!r}.", "`penstock users list` shows them.")
    return user


def read_password(file: Path | None) -> str:
    """From a file, from the terminal without showing it, or the first line of what is piped in."""
    from penstock.errors import ConfigError

    if file is not None:
        try:
            return file.expanduser().read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{file} cannot be read: {error}.", "Name another file.") from error
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().strip("\r\n")


def shown_time(seconds: float | None) -> str:
    """A time for people, by the clock on their wall."""
    from datetime import datetime

    if seconds is None:
        return "-"
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")
