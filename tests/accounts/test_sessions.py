"""Refreshing and registering on both databases, also when much comes at once."""

import asyncio

import pytest

from penstock.accounts.accounts import Accounts
from penstock.accounts.policy import Policy, RegistrationMode
from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.accounts.users import User, UserState
from penstock.errors import NameTaken, NotAllowed, NotSignedIn, TooManyAttempts, WrongCredentials
from penstock.storage.database import Storage
from tests.accounts.making import HERE, PASSWORD, accounts_over


async def test_of_two_refreshes_at_once_one_gets_new_tokens(accounts: Accounts) -> None:
    user = await accounts.signing_in.check("bob", PASSWORD, HERE)
    tokens = await accounts.signing_in.issue(user)
    refresh = accounts.signing_in.refresh

    found = await asyncio.gather(
        *(refresh(tokens.refresh_token, HERE) for _ in range(10)), return_exceptions=True
    )

    assert sum(isinstance(each, WrongCredentials) for each in found) == 9
    with pytest.raises(NotSignedIn):  # and the session is over: one of the ten was not the client
        await accounts.authentication.by_bearer(tokens.access_token)


async def test_a_session_that_is_over_is_not_refreshed(storage: Storage) -> None:
    accounts = accounts_over(storage, Policy(refresh_seconds=0, page_session_seconds=0))
    await accounts.registration.create(
        Wanted(username="eve", password=PASSWORD), role=Role.USER, actor="t", visitor=HERE
    )
    user = await accounts.signing_in.check("eve", PASSWORD, HERE)
    tokens = await accounts.signing_in.issue(user)

    with pytest.raises(WrongCredentials):
        await accounts.signing_in.refresh(tokens.refresh_token, HERE)
    with pytest.raises(NotSignedIn):
        await accounts.authentication.by_page(await accounts.signing_in.open_page(user))


async def test_of_ten_who_register_one_name_at_once_one_gets_it(storage: Storage) -> None:
    accounts = accounts_over(storage, Policy(registration=RegistrationMode.OPEN))
    names = ["Mill", "mill", "MILL", "mIll", "miLl"] * 2

    found = await asyncio.gather(
        *(
            accounts.registration.register(Wanted(username=name, password=PASSWORD), HERE)
            for name in names
        ),
        return_exceptions=True,
    )

    assert sum(isinstance(each, User) for each in found) == 1
    assert sum(isinstance(each, NameTaken) for each in found) == 9
    assert len(await accounts.administration.users()) == 1


async def test_with_approval_nobody_learns_which_names_are_taken(storage: Storage) -> None:
    accounts = accounts_over(storage, Policy(registration=RegistrationMode.APPROVAL))
    register = accounts.registration.register
    wanted = Wanted(username="dora", password=PASSWORD)

    assert await register(wanted, HERE) == await register(wanted, HERE) == UserState.PENDING
    with pytest.raises(NotAllowed, match="waits for an administrator"):
        await accounts.signing_in.check("dora", PASSWORD, HERE)
    (user,) = await accounts.administration.users()
    await accounts.administration.change(
        user.id, role=None, state=UserState.ACTIVE, actor="t", visitor=HERE
    )
    assert await accounts.signing_in.check("dora", PASSWORD, HERE)


async def test_registering_is_closed_unless_it_is_opened_and_then_counted(
    storage: Storage,
) -> None:
    with pytest.raises(NotAllowed):
        await accounts_over(storage).registration.register(
            Wanted(username="eve", password=PASSWORD), HERE
        )

    accounts = accounts_over(storage, Policy(registration=RegistrationMode.OPEN))
    with pytest.raises(TooManyAttempts):
        for number in range(31):
            await accounts.registration.register(
                Wanted(username=f"eve{number}", password=PASSWORD), HERE
            )


async def test_a_hash_of_another_cost_is_made_anew_at_sign_in(
    accounts: Accounts, storage: Storage
) -> None:
    from penstock.accounts.passwords import Cost, Passwords
    from penstock.accounts.signing_in import SigningIn

    stronger = Passwords(Cost(memory_kib=128, num_passes=1))
    signing_in = SigningIn(accounts.stores, stronger, accounts.signing_in._signer, Policy())

    await signing_in.check("bob", PASSWORD, HERE)

    user = await accounts.administration.user_named("bob")
    assert user is not None
    assert "m=128," in user.password_hash
    assert await signing_in.check("bob", PASSWORD, HERE)


async def test_of_two_administrators_who_remove_each_other_at_once_one_stays(
    storage: Storage,
) -> None:
    accounts = accounts_over(storage)
    ids = []
    for name in ("ada", "eve"):
        wanted = Wanted(username=name, password=PASSWORD)
        made = await accounts.registration.create(
            wanted, role=Role.ADMIN, actor="test", visitor=HERE
        )
        ids.append(made.id)

    removing = [
        accounts.administration.remove(user_id, actor="test", visitor=HERE) for user_id in ids
    ]
    found = await asyncio.gather(*removing, return_exceptions=True)

    assert sorted(type(one).__name__ for one in found) == ["NotAllowed", "User"]
    assert len(await accounts.administration.users()) == 1
