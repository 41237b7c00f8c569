"""A server that asks who one is, with an administrator and two users."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from penstock.accounts.accounts import Accounts
from penstock.accounts.principal import Role
from penstock.accounts.registration import Wanted
from penstock.accounts.signing_in import Visitor
from penstock.settings import Settings
from tests.api.conftest import connected
from tests.fakes import FakeModels

PASSWORDS = {
    "ada": "a brass difference engine",
    "bob": "the miller's third daughter",
    "cleo": "seven grey herons at dusk",
}
ADMIN = "ada"
OWN_PAGE = {"origin": "http://127.0.0.1"}
LETTERS = 8


@dataclass(frozen=True)
class Server:
    """A client that is nobody, and the server's accounts, whose calls run on its event loop."""

    client: TestClient
    accounts: Accounts

    def call(self, work: object, *arguments: object, **named: object) -> object:
        """Await something of the accounts where the server runs."""

        async def wait() -> object:
            return await work(*arguments, **named)  # type: ignore[operator]

        assert self.client.portal is not None
        return self.client.portal.call(wait)

    def tokens(self, name: str, password: str | None = None) -> dict[str, str]:
        form = {"grant_type": "password", "username": name}
        answer = self.client.post("/token", data=form | {"password": password or PASSWORDS[name]})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def bearer(self, name: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.tokens(name)['access_token']}"}

    def key(self, name: str, *scopes: str, **fields: object) -> str:
        """A key of theirs with these scopes."""
        body = {"scopes": list(scopes) or ["generate", "files"], **fields}
        answer = self.client.post("/keys", json=body, headers=self.bearer(name))
        assert answer.status_code == 201, answer.text
        return answer.json()["key"]


@contextlib.contextmanager
def asking_server(folder: Path, **settings: object) -> Iterator[Server]:
    """A server with these settings and three accounts."""
    chosen = Settings(**{"auth": "required", "data_dir": folder, **settings})
    with connected(FakeModels(), chosen) as client:
        server = Server(client, client.app.state.services.accounts)  # type: ignore[attr-defined]
        for name, password in PASSWORDS.items():
            server.call(
                server.accounts.registration.create,
                Wanted(username=name, password=password),
                role=Role.ADMIN if name == ADMIN else Role.USER,
                actor="test",
                visitor=Visitor("test"),
            )
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with asking_server(tmp_path) as server:
        yield server


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For tests that leave no trace."""
    with asking_server(tmp_path_factory.mktemp("accounts")) as server:
        yield server
