"""All that is done about accounts, put together over one database."""

from dataclasses import dataclass
from typing import Self

from penstock.accounts.access_tokens import TokenSigner
from penstock.accounts.administration import Administration
from penstock.accounts.authentication import Authentication
from penstock.accounts.devices import Devices
from penstock.accounts.passwords import Passwords
from penstock.accounts.policy import Policy
from penstock.accounts.registration import Registration
from penstock.accounts.signing_in import SigningIn
from penstock.accounts.stores import Stores
from penstock.storage.database import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Accounts:
    """What the routes and the command line work with."""

    policy: Policy
    stores: Stores
    passwords: Passwords
    devices: Devices
    authentication: Authentication
    signing_in: SigningIn
    registration: Registration
    administration: Administration

    @classmethod
    def over(
        cls,
        storage: Storage,
        *,
        secret: str,
        signer: TokenSigner,
        policy: Policy,
        passwords: Passwords | None = None,
    ) -> Self:
        """Those of this database. `secret` is what the signer signs with."""
        stores = Stores.over(storage)
        passwords = passwords or Passwords()
        signing_in = SigningIn(stores, passwords, signer, policy)
        return cls(
            policy=policy,
            stores=stores,
            passwords=passwords,
            devices=Devices(secret),
            authentication=Authentication(stores, signer),
            signing_in=signing_in,
            registration=Registration(stores, passwords, policy),
            administration=Administration(stores, passwords, signing_in),
        )
