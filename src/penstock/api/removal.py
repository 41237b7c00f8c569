"""Deletes an account and what was kept for it, which several stores hold."""

from penstock.accounts.administration import Administration
from penstock.accounts.signing_in import Visitor
from penstock.accounts.users import User
from penstock.api.services import Lasting, Records


async def remove_account(
    user_id: str,
    administration: Administration,
    records: Records,
    lasting: Lasting,
    *,
    actor: str,
    visitor: Visitor,
) -> User:
    """Who it was. The sums of usage stay, and so does the audit log.

    The account goes first, so nothing is added meanwhile but by what is under way. Raises
    `UnknownUser`, or `NotAllowed` where nobody were left to administer.
    """
    user = await administration.remove(user_id, actor=actor, visitor=visitor)
    await lasting.jobs.cancel_all(user.id)
    await lasting.files.expire_all(user.id)
    await records.ledger.flush()
    await records.history.delete_all(user.id)
    return user
