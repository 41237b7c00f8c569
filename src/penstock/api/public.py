"""The routes that answer to anybody. Whatever is not listed needs an account; see the gate."""

from collections.abc import Iterable

from starlette.routing import Route

from penstock.accounts.policy import Policy, RegistrationMode

PUBLIC = frozenset(
    {
        ("GET", "/health"),
        ("GET", "/livez"),
        ("GET", "/readyz"),
        ("GET", "/openapi.json"),
        ("POST", "/token"),
        ("GET", "/session"),
        ("POST", "/session"),
    }
)
REGISTER = ("POST", "/register")


def public_routes(policy: Policy, files: Iterable[Route]) -> frozenset[tuple[str, str]]:
    """Methods and exact paths; `files` are those of the page and of the documentation."""
    public = PUBLIC | {("GET", route.path) for route in files}
    if policy.registration is not RegistrationMode.CLOSED:
        public |= {REGISTER}
    return public
