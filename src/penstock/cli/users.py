"""`penstock users`: accounts, for who has the database."""

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.accounts import read_password, shown_time, user_named, with_accounts
from penstock.cli.terminal import print_json, print_table, tell

if TYPE_CHECKING:
    from penstock.accounts.accounts import Accounts
    from penstock.accounts.limits.limits import Limits
    from penstock.accounts.users import User

app = typer.Typer(help="Make accounts and change them.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File that holds the password; else it is asked for, or read from stdin."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]

Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="LIMIT=N...", help="As in tokens_per_day=10000; see the settings."),
]


class RoleName(StrEnum):
    """What an account is for."""

    USER = "user"
    ADMIN = "admin"


class StateName(StrEnum):
    """Whether an account can be used."""

    ACTIVE = "active"
    DISABLED = "disabled"


@app.command("list")
def list_users(as_json: AsJson = False) -> None:
    """List the accounts, the oldest first."""

    async def work(accounts: "Accounts") -> "list[User]":
        return list(await accounts.administration.users())

    users = with_accounts(work)
    if as_json:
        print_json({"users": [_shown(user) for user in users]})
        return
    rows = [
        (u.username, u.role, u.state, shown_time(u.created_at), shown_time(u.signed_in_at))
        for u in users
    ]
    print_table(["name", "role", "state", "made", "signed in"], rows)


@app.command()
def create(
    name: Name,
    admin: Annotated[bool, typer.Option("--admin", help="An administrator.")] = False,
    email: Annotated[str | None, typer.Option(help="Where to reach them.")] = None,
    password_file: PasswordFile = None,
) -> None:
    """Make an account."""
    from penstock.accounts.principal import Role
    from penstock.accounts.registration import OPERATOR, Wanted

    wanted = Wanted(username=name, password=read_password(password_file), email=email)

    async def work(accounts: "Accounts") -> None:
        await accounts.registration.create(
            wanted, role=Role.ADMIN if admin else Role.USER, actor=OPERATOR, visitor=_here()
        )

    with_accounts(work)
    tell(f"{name} can sign in{' and administer accounts and models' if admin else ''}.")


@app.command()
def change(
    name: Name,
    role: Annotated[RoleName | None, typer.Option(help="What the account is for.")] = None,
    state: Annotated[
        StateName | None, typer.Option(help="Active also approves; disabled ends all sessions.")
    ] = None,
) -> None:
    """Change an account's role or state."""
    from penstock.accounts.principal import Role
    from penstock.accounts.registration import OPERATOR
    from penstock.accounts.users import UserState

    async def work(accounts: "Accounts") -> "User":
        user = await user_named(accounts, name)
        return await accounts.administration.change(
            user.id,
            role=None if role is None else Role(role.value),
            state=None if state is None else UserState(state.value),
            actor=OPERATOR,
            visitor=_here(),
        )

    changed = with_accounts(work)
    tell(f"{changed.username} is {changed.state}, with the role {changed.role}.")


@app.command()
def remove(name: Name) -> None:
    """Delete an account with its sessions, keys, history and files. Its jobs are cancelled."""
    from penstock.accounts.registration import OPERATOR
    from penstock.api.building import lasting_of
    from penstock.api.recording import build_records
    from penstock.api.removal import remove_account
    from penstock.settings import load_settings

    async def work(accounts: "Accounts") -> None:
        settings, user = load_settings(), await user_named(accounts, name)
        storage = accounts.stores.storage
        await remove_account(
            user.id,
            accounts.administration,
            build_records(settings, storage),
            lasting_of(settings, storage),
            actor=OPERATOR,
            visitor=_here(),
        )

    with_accounts(work)
    tell(f"{name} is removed.")


@app.command("set")
def set_limits(
    name: Name,
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Say how much a user may take: LIMIT=N, LIMIT=none, or LIMIT=default as for everybody.

    What is not named stays. Without any, print how much it is.
    """
    from penstock.cli.limits import change_limits, print_limits

    async def work(accounts: "Accounts") -> "Limits":
        from penstock.accounts.limits.limiter import user_subject

        user = await user_named(accounts, name)
        return await change_limits(accounts, user_subject(user.id), changes or ())

    print_limits(with_accounts(work), as_json=as_json)


@app.command()
def password(name: Name, password_file: PasswordFile = None) -> None:
    """Give a user a new password. All their sessions end; their keys stay."""
    from penstock.accounts.registration import OPERATOR

    new = read_password(password_file)

    async def work(accounts: "Accounts") -> None:
        user = await user_named(accounts, name)
        await accounts.administration.set_password(user, new, actor=OPERATOR, visitor=_here())

    with_accounts(work)
    tell(f"{name} has a new password.")


@app.command()
def log(
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Print what was done about accounts last: sign-ins, failures, keys, changes."""

    async def work(accounts: "Accounts") -> list[dict[str, Any]]:
        return [asdict(entry) for entry in await accounts.administration.events(limit)]

    entries = with_accounts(work)
    if as_json:
        print_json({"events": entries})
        return
    rows = [
        (shown_time(e["created_at"]), e["event"], e["actor"], e["subject"] or "-", e["source"])
        for e in entries
    ]
    print_table(["time", "what", "by", "to", "from"], rows)


def _shown(user: "User") -> dict[str, Any]:
    hidden = ("password_hash", "token_version")
    return {name: value for name, value in asdict(user).items() if name not in hidden}


def _here() -> Any:
    from penstock.accounts.signing_in import Visitor

    return Visitor("terminal")
