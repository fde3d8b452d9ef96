"""Encryption of stored secrets: Fernet (AES-128-CBC with HMAC-SHA256), its keys derived from the site's secret keys.

The library takes 8 MiB in each process, so it is imported where a secret is written or read.
"""

import base64
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.crypto import salted_hmac

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class Unreadable(Exception):
    """The value was encrypted with a secret key that this site does not have."""


def encrypt(value: str) -> str:
    """Encrypt with the current key."""
    return _fernet().encrypt(value.encode()).decode()


def decrypt(ciphertext: str) -> str:
    """Decrypt with the current key, or one of the former ones. Raises Unreadable."""
    from cryptography.fernet import InvalidToken

    try:
        return _fernet().decrypt(ciphertext.encode()).decode()
    except InvalidToken as error:
        raise Unreadable(
            "The value was encrypted with another KTRDR_SECRET_KEY. Enter it again, or list the former key in "
            "KTRDR_SECRET_KEY_FALLBACKS."
        ) from error


def encrypt_again(ciphertext: str) -> str:
    """Return the same value encrypted with the current key. Raises Unreadable."""
    return encrypt(decrypt(ciphertext))


def is_readable(ciphertext: str) -> bool:
    try:
        decrypt(ciphertext)
    except Unreadable:
        return False
    return True


def _fernet() -> "MultiFernet":
    from cryptography.fernet import Fernet, MultiFernet

    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return MultiFernet([Fernet(_key_of(str(key))) for key in keys])


def _key_of(secret_key: str) -> bytes:
    """Return a key for this purpose only: 256 bits, in base64 for URLs."""
    digest = salted_hmac("ktrdr.worker-secrets", "fernet", secret=secret_key, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(digest)
