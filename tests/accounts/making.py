"""Accounts whose hashes cost little, for tests and for the processes that they start."""

from penstock.accounts.access_tokens import TokenSigner
from penstock.accounts.accounts import Accounts
from penstock.accounts.passwords import Cost, Passwords
from penstock.accounts.policy import Policy
from penstock.accounts.signing_in import Visitor
from penstock.storage.database import Storage

SECRET = "Zq3v8Xk1Lw9pTn6Yb2Rc5Hd7Jf4Gm0Se"
PASSWORD = "a brass difference engine"
HERE = Visitor("203.0.113.9")


def accounts_over(
    storage: Storage, policy: Policy | None = None, passwords: Passwords | None = None
) -> Accounts:
    return Accounts.over(
        storage,
        secret=SECRET,
        signer=TokenSigner(SECRET),
        policy=policy or Policy(),
        passwords=passwords or Passwords(Cost(memory_kib=64, num_passes=1)),
    )
