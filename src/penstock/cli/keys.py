"""`penstock keys`: keys for programs, for who has the database."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from penstock.cli.accounts import shown_time, user_named, with_accounts
from penstock.cli.terminal import print_json, print_table, tell

if TYPE_CHECKING:
    from penstock.accounts.accounts import Accounts
    from penstock.accounts.keys import Key
    from penstock.accounts.limits.limits import Limits

app = typer.Typer(help="Make keys for programs and revoke them.", rich_markup_mode=None)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name.")]
Changes = Annotated[
    list[str] | None,
    typer.Argument(metavar="LIMIT=N...", help="As in tokens_per_day=10000; see the settings."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@app.command("list")
def list_keys(name: Name, as_json: AsJson = False) -> None:
    """List a user's keys that are in use, without the keys themselves."""

    async def work(accounts: "Accounts") -> "list[Key]":
        user = await user_named(accounts, name)
        return list(await accounts.administration.keys(user.id))

    keys = with_accounts(work)
    if as_json:
        print_json({"keys": [_shown(key) for key in keys]})
        return
    rows = [
        (k.id, k.label, " ".join(sorted(k.scopes)), shown_time(k.expires_at), shown_time(k.used_at))
        for k in keys
    ]
    print_table(["id", "label", "may", "until", "last used"], rows)


@app.command("set")
def set_limits(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id.")],
    changes: Changes = None,
    as_json: AsJson = False,
) -> None:
    """Say how much may be taken by a key, beside what its user may: LIMIT=N, or LIMIT=none.

    What is not named stays. Without any, print how much it is.
    """
    from penstock.cli.limits import change_limits, print_limits

    async def work(accounts: "Accounts") -> "Limits":
        from penstock.accounts.limits.limiter import key_subject

        await accounts.administration.check_key(key_id)
        return await change_limits(accounts, key_subject(key_id), changes or ())

    print_limits(with_accounts(work), as_json=as_json)


@app.command()
def create(
    name: Name,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do; repeat for more [generate, files]."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it is good; else until revoked.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a user a key and print it. It is not shown again."""
    from penstock.accounts.keys import NewKey, scopes_of
    from penstock.accounts.principal import SCOPES_OF
    from penstock.accounts.registration import OPERATOR
    from penstock.accounts.signing_in import Visitor
    from penstock.errors import InvalidParameter

    names = scope or ["generate", "files"]

    async def work(accounts: "Accounts") -> "tuple[Key, str]":
        user = await user_named(accounts, name)
        scopes = scopes_of(names)
        if len(scopes) != len(set(names)) or not scopes <= SCOPES_OF[user.role]:
            raise InvalidParameter(
                f"scope={' '.join(names)} is not what {name} may do.",
                f"Use some of {', '.join(sorted(SCOPES_OF[user.role]))}.",
                param="scope",
            )
        new = NewKey(
            user_id=user.id,
            label=label[:100],
            scopes=scopes,
            lifetime_seconds=None if days is None else days * 86_400,
        )
        return await accounts.administration.create_key(
            new, actor=OPERATOR, visitor=Visitor("terminal")
        )

    key, secret = with_accounts(work)
    if as_json:
        print_json(_shown(key) | {"key": secret})
        return
    print(secret)
    tell("Keep it: it is not shown again.")


@app.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="The key's id.")]) -> None:
    """End a key at once."""
    from penstock.accounts.registration import OPERATOR
    from penstock.accounts.signing_in import Visitor

    async def work(accounts: "Accounts") -> None:
        await accounts.administration.revoke_key(
            key_id, user_id=None, actor=OPERATOR, visitor=Visitor("terminal")
        )

    with_accounts(work)
    tell(f"{key_id} opens nothing any more.")


def _shown(key: "Key") -> dict[str, Any]:
    return {
        "id": key.id,
        "label": key.label,
        "scopes": sorted(key.scopes),
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "used_at": key.used_at,
    }
