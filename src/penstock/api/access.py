"""From the settings to who may use the server, and to the accounts of those who sign in."""

import secrets

from penstock.accounts.access_tokens import TokenSigner
from penstock.accounts.accounts import Accounts
from penstock.accounts.policy import Access, Policy, RegistrationMode
from penstock.accounts.principal import Role
from penstock.accounts.registration import OPERATOR, Wanted
from penstock.accounts.signing_in import Visitor
from penstock.accounts.signing_secret import check_secret, signing_secret
from penstock.errors import ConfigError
from penstock.settings import Settings
from penstock.storage.database import Storage
from penstock.storage.urls import default_url

AT_START = Visitor("start")


def access_of(settings: Settings) -> Access:
    """What the settings come to. A server that is known by other names is reached by others."""
    match settings.auth:
        case "required":
            return Access.REQUIRED
        case "off":
            return Access.OFF
        case "auto" if settings.is_private:
            return Access.LOCAL
        case "auto":
            return Access.OFF if settings.insecure_no_auth else Access.REQUIRED


def build_accounts(settings: Settings, storage: Storage) -> Accounts:
    """The accounts of these settings. Raises `ConfigError` for a secret that can be guessed."""
    access = access_of(settings)
    secret = _secret(settings, access)
    return Accounts.over(
        storage,
        secret=secret,
        signer=TokenSigner(
            secret,
            algorithm=settings.token_algorithm,
            lifetime_seconds=60 * settings.token_minutes,
        ),
        policy=Policy(access=access, registration=RegistrationMode(settings.registration)),
    )


def storage_of(settings: Settings) -> Storage:
    """The database of these settings."""
    url = settings.database_url
    return Storage(default_url(settings.data_dir) if url is None else url.get_secret_value())


async def prepare_accounts(settings: Settings, accounts: Accounts) -> str | None:
    """See to it that somebody can sign in where that is required, before anybody can connect.

    Returns the password to tell once where one was made. Raises `ConfigError`.
    """
    access = accounts.policy.access
    if access is Access.OFF or await accounts.registration.has_admin():
        return None
    if settings.admin_password is not None:
        wanted = Wanted(
            username=settings.admin_username, password=settings.admin_password.get_secret_value()
        )
        await accounts.registration.create(
            wanted, role=Role.ADMIN, actor=OPERATOR, visitor=AT_START
        )
        return None
    if settings.auth == "required":
        return await accounts.registration.create_with_password_told_once(
            settings.admin_username, AT_START
        )
    if access is Access.REQUIRED:
        raise ConfigError(
            f"Others can connect (host={settings.host}, allowed_hosts="
            f"{','.join(settings.allowed_hosts)}), and nobody can sign in yet.",
            "Make one: penstock users create NAME --admin. Or set PENSTOCK_AUTH=required to be "
            "told a password for the first sign-in; or keep 127.0.0.1.",
            param="auth",
        )
    return None


def _secret(settings: Settings, access: Access) -> str:
    given = None if settings.secret_key is None else settings.secret_key.get_secret_value()
    if access is Access.OFF:  # nothing is signed, so nothing need be kept; a weak one is told of
        if given is not None:
            check_secret(given, settings.token_algorithm)
        return secrets.token_urlsafe(48)
    return signing_secret(given, settings.data_dir, settings.token_algorithm)
