"""The rows of API keys: shown once, kept as a digest, with scopes and an end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import ColumnElement

from penstock.accounts.credentials import KEY, KEY_ID_LENGTH, new_credential, new_id
from penstock.accounts.principal import Scope
from penstock.errors import NotAllowed, UnknownKey
from penstock.storage.database import Storage
from penstock.storage.tables import api_keys

MAX_KEYS = 50  # of one user that are in use


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A key as its row tells, without its secret."""

    id: str
    user_id: str
    label: str
    scopes: frozenset[Scope]
    created_at: float
    expires_at: float | None
    used_at: float | None

    @property
    def hint(self) -> str:
        """Its beginning, by which its owner can tell it from others."""
        return f"{KEY}_{self.id}_…"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """What a key is to be."""

    user_id: str
    label: str
    scopes: frozenset[Scope]
    lifetime_seconds: float | None = None


class KeyStore:
    """The keys in one database."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def insert(self, connection: AsyncConnection, new: NewKey) -> tuple[Key, str]:
        """A new key, and its secret, which cannot be told again. Raises `NotAllowed`."""
        now = await self._storage.now(connection)
        count = select(func.count()).where(_in_use(new.user_id, now))
        if (await connection.execute(count)).scalar_one() >= MAX_KEYS:
            raise NotAllowed(f"There are {MAX_KEYS} keys already.", "Revoke one that is not used.")
        key_id = new_id(KEY_ID_LENGTH)
        secret, digest = new_credential(KEY, key_id)
        row = {
            "id": key_id,
            "user_id": new.user_id,
            "label": new.label,
            "digest": digest,
            "scopes": " ".join(sorted(new.scopes)),
            "created_at": now,
            "expires_at": None if new.lifetime_seconds is None else now + new.lifetime_seconds,
        }
        added = await connection.execute(insert(api_keys).values(row).returning(api_keys))
        return key_of(added.mappings().one()), secret

    async def of_user(self, connection: AsyncConnection, user_id: str) -> Sequence[Key]:
        """The keys of a user that are in use, the newest first."""
        now = await self._storage.now(connection)
        query = select(api_keys).where(_in_use(user_id, now))
        query = query.order_by(api_keys.c.created_at.desc(), api_keys.c.id)
        return [key_of(row) for row in (await connection.execute(query)).mappings()]

    async def revoke(self, connection: AsyncConnection, user_id: str, key_id: str) -> None:
        """End a key at once. Raises `UnknownKey`, for somebody else's too."""
        now = await self._storage.now(connection)
        revoking = update(api_keys).where(api_keys.c.id == key_id, _in_use(user_id, now))
        if (await connection.execute(revoking.values(revoked_at=now))).rowcount == 0:
            raise UnknownKey(f"There is no key {key_id[:80]!r}.", "GET /keys lists yours.")

    async def revoke_any(self, connection: AsyncConnection, key_id: str) -> None:
        """End a key, whose it may be. Raises `UnknownKey`."""
        owner = select(api_keys.c.user_id).where(api_keys.c.id == key_id)
        user_id = (await connection.execute(owner)).scalar()
        await self.revoke(connection, user_id or "", key_id)

    async def remove_all(self, connection: AsyncConnection, user_id: str) -> None:
        """Delete all keys of a user who is gone."""
        await connection.execute(delete(api_keys).where(api_keys.c.user_id == user_id))

    async def check(self, connection: AsyncConnection, key_id: str) -> None:
        """Raises `UnknownKey` where none that is in use has this id."""
        owner = select(api_keys.c.user_id).where(api_keys.c.id == key_id)
        user_id = (await connection.execute(owner)).scalar() or ""
        if key_id not in {key.id for key in await self.of_user(connection, user_id)}:
            raise UnknownKey(f"There is no key {key_id[:80]!r}.", "`penstock keys list` has them.")

    async def note_uses(self, connection: AsyncConnection, uses: Mapping[str, float]) -> None:
        """Write down when keys were last used."""
        for key_id, used_at in uses.items():
            noting = update(api_keys).where(api_keys.c.id == key_id).values(used_at=used_at)
            await connection.execute(noting)


def key_of(row: RowMapping) -> Key:
    """A key from its row."""
    fields = {name: row[name] for name in Key.__dataclass_fields__ if name != "scopes"}
    return Key(**fields, scopes=scopes_of(row["scopes"].split()))


def scopes_of(names: Iterable[str]) -> frozenset[Scope]:
    """The scopes of these names; one that is known no more is none."""
    known = {str(scope) for scope in Scope}
    return frozenset(Scope(name) for name in names if name in known)


def _in_use(user_id: str, now: float) -> ColumnElement[bool]:
    lives = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now)
    return (api_keys.c.user_id == user_id) & api_keys.c.revoked_at.is_(None) & lives
