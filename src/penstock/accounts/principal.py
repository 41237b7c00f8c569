"""Who a request is from, once that is known, and what they may do. A value; decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LOCAL_OWNER = "local"  # whoever sits at this machine, without an account


class Role(StrEnum):
    """What an account is for."""

    USER = "user"
    ADMIN = "admin"


class Scope(StrEnum):
    """What may be done. A key has some, an account those of its role."""

    GENERATE = "generate"  # ask for texts and see what there is
    FILES = "files"  # files and batches
    ACCOUNT = "account"  # own keys and password
    MODELS = "models"  # load, fetch and remove models
    USERS = "users"  # administer accounts
    METRICS = "metrics"  # read the server's figures


SCOPES_OF: Mapping[Role, frozenset[Scope]] = {
    Role.USER: frozenset({Scope.GENERATE, Scope.FILES, Scope.ACCOUNT}),
    Role.ADMIN: frozenset(Scope),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request is from. All that is kept for it belongs to `owner`."""

    owner: str
    username: str
    scopes: frozenset[Scope]
    role: Role | None = None  # none: nobody signed in
    session_id: str | None = None
    key_id: str | None = None
    must_change_password: bool = False

    @property
    def is_signed_in(self) -> bool:
        """It has an account."""
        return self.role is not None

    def may(self, scope: Scope) -> bool:
        """Whether that is allowed. A password that must be changed comes before all else."""
        return scope in self.scopes and not (self.must_change_password and scope != Scope.ACCOUNT)


# What is left to a stranger at this machine are things of one's own account.
LOCAL = Principal(
    owner=LOCAL_OWNER, username=LOCAL_OWNER, scopes=frozenset(Scope) - {Scope.ACCOUNT}
)
