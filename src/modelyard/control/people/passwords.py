"""Passwords, by argon2 in a thread: a hash takes tens of milliseconds and 64 MiB, which the event loop must not wait for."""

import asyncio

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from modelyard.core.errors import Kind, Problem

MIN_LENGTH = 8
MAX_LENGTH = 1024

_hasher = PasswordHasher()

# Verified against when there is no such user, so that an unknown e-mail takes as long as a wrong password.
_DECOY = "$argon2id$v=19$m=65536,t=3,p=4$c29tZXNhbHRzb21lc2FsdA$Wb1mVYbBZhMnUMeYpFjTnZyHNcnZ5kKCDuSYQ3hpmjY"

# Each hash in flight holds 64 MiB.
_slots = asyncio.Semaphore(2)


def check_length(password: str) -> None:
    """The one rule. Raises Problem MALFORMED."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise Problem(
            Kind.MALFORMED, f"The password must have {MIN_LENGTH} to {MAX_LENGTH} characters.", param="password"
        )


async def hashed(password: str) -> str:
    """The argon2id hash of a new password. Raises Problem MALFORMED when it is too short."""
    check_length(password)
    async with _slots:
        return await asyncio.to_thread(_hasher.hash, password)


async def verified(password_hash: str | None, password: str) -> bool:
    """True when it is the password. Takes the same time when there is no hash to check against."""
    async with _slots:
        return await asyncio.to_thread(_verify, password_hash, password[: MAX_LENGTH + 1])


def _verify(password_hash: str | None, password: str) -> bool:
    try:
        _hasher.verify(password_hash or _DECOY, password)
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None
