"""What an operator decided about accounts. Values; see the settings of the same names."""

from dataclasses import dataclass
from enum import StrEnum


class Access(StrEnum):
    """Who may use the server."""

    OFF = "off"  # whoever can connect
    LOCAL = "local"  # whoever sits at this machine, and who signs in
    REQUIRED = "required"  # only who signs in


class RegistrationMode(StrEnum):
    """Whether strangers may make themselves an account."""

    OPEN = "open"
    APPROVAL = "approval"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What holds for all accounts."""

    access: Access = Access.LOCAL
    registration: RegistrationMode = RegistrationMode.CLOSED
    page_session_seconds: float = 14 * 86_400
    refresh_seconds: float = 30 * 86_400
