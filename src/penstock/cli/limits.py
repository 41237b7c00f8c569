"""What `penstock users set` and `penstock keys set` share: limits as they are typed and shown."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.cli.terminal import print_json, print_table

if TYPE_CHECKING:
    from penstock.accounts.accounts import Accounts
    from penstock.accounts.limits.limits import Limits


async def change_limits(accounts: "Accounts", subject: str, given: Sequence[str]) -> "Limits":
    """Change those that are given; all of them, as they are then."""
    from penstock.accounts.audit import Entry, Event
    from penstock.accounts.limits.limits import Limits
    from penstock.accounts.limits.store import LimitStore
    from penstock.accounts.registration import OPERATOR
    from penstock.api.recording import default_limits
    from penstock.settings import load_settings

    stores = accounts.stores
    store = LimitStore(stores.storage)
    (before,) = await store.of([subject])
    base = Limits() if subject.startswith("key:") else default_limits(load_settings())
    changes = dict(before)
    for pair in given:
        name, _, text = pair.partition("=")
        name = name.replace("-", "_")
        _check_name(name)
        if text == "default":
            changes.pop(name, None)
        else:
            changes[name] = _number(name, text)
    limits = base.set_to(changes)
    if changes != before:
        async with stores.storage.writing() as connection:
            await store.set(connection, subject, changes)
            entry = Entry(event=Event.LIMITS_SET, actor=OPERATOR, source="terminal", detail=subject)
            await stores.audit.note(connection, entry)
    return limits


def print_limits(limits: "Limits", *, as_json: bool) -> None:
    """All of them."""
    if as_json:
        print_json(limits.to_plain())
        return
    rows = [
        (name.replace("_", " "), "no limit" if most is None else f"{most:,}")
        for name, most in limits.to_plain().items()
    ]
    print_table(["limit", "most"], rows)


def _check_name(name: str) -> None:
    from penstock.accounts.limits.limits import WINDOWS
    from penstock.errors import InvalidParameter

    if name not in WINDOWS:
        raise InvalidParameter(
            f"There is no limit {name[:40]!r}.", f"Write one of {', '.join(WINDOWS)} as LIMIT=N."
        )


def _number(name: str, text: str) -> int | None:
    from penstock.errors import InvalidParameter

    if text == "none":
        return None
    try:
        return int(text.replace(",", "").replace("_", ""))
    except ValueError as error:
        raise InvalidParameter(
            f"{name}={text!r} is no number.", "Give one, or none, or default.", param=name
        ) from error
