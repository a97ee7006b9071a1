"""Secrets: keys are kept as keyed digests, upstream credentials are sealed, and what is shown is masked."""

import base64
import hashlib
import secrets

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

KEY_PREFIX = "sk-my-"
MASK = "********"


class CannotOpen(ValueError):
    """The sealed text was made with another secret key."""


class Seal:
    """Everything derived from the installation's secret key: digests of tokens and sealed credentials.

    Several secret keys separated by commas make a rotation: the first one seals, all of them open.
    Digests use the first one only, so a rotation ends all keys and sessions. `chain_keys` are for the audit log: the first
    one writes its chain, each of them may have written the older part.
    """

    def __init__(self, secret_key: str) -> None:
        keys = [part.strip() for part in secret_key.split(",") if part.strip()]
        self._pepper = hashlib.blake2b(keys[0].encode(), person=b"token-digest", digest_size=32).digest()
        self.chain_keys = tuple(
            hashlib.blake2b(key.encode(), person=b"audit-chain", digest_size=32).digest() for key in keys
        )
        self._fernet = MultiFernet([_fernet(key) for key in keys])

    def digest(self, token: str) -> bytes:
        """What is stored of a key or session token: 32 bytes, useless without the secret key."""
        return hashlib.blake2b(token.encode("utf-8", "surrogateescape"), key=self._pepper, digest_size=32).digest()

    def close(self, text: str) -> str:
        """Seal a credential for the database."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """Open a sealed credential. Raises CannotOpen when the secret key is another one."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken:
            raise CannotOpen(
                "a stored credential cannot be opened: MODELYARD_SECRET_KEY is not the one it was sealed with"
            ) from None


def _fernet(secret: str) -> Fernet:
    return Fernet(
        base64.urlsafe_b64encode(hashlib.blake2b(secret.encode(), person=b"credential", digest_size=32).digest())
    )


def new_token(prefix: str) -> str:
    """A fresh secret of 256 random bits behind a prefix that tells what it is."""
    return prefix + secrets.token_urlsafe(32)


def mask(secret: str) -> str:
    """What is shown of a secret: its last four characters when it is long enough to spare them."""
    return MASK + (secret[-4:] if len(secret) >= 16 else "")


def is_masked(value: str) -> bool:
    """True for a value that `mask` made: sent back, it means unchanged."""
    return value.startswith(MASK)
