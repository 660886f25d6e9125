"""Encryption and keyed hashes for what a store keeps."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterable


class Undecryptable(ValueError):
    """A sealed value is damaged or was sealed with another key."""


def random_key() -> str:
    """Make a new key for a :class:`Sealer`."""
    return secrets.token_urlsafe(32)


class Sealer:
    """Encrypts values and makes keyed hashes, both from one key.

    The two uses get keys of their own (HKDF), so a hash that appears in a file name tells nothing about
    the encryption.

    :param key: any text or bytes; its strength is the strength of the encryption
    :param older: former keys that still open what they sealed
    """

    def __init__(self, key: str | bytes, *, older: Iterable[str | bytes] = ()) -> None:
        keys = [_as_bytes(key), *map(_as_bytes, older)]
        self._cipher = MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(k, b"seal"))) for k in keys])
        self._digest_key = _derive(keys[0], b"digest")

    def seal(self, value: bytes) -> str:
        """Encrypt ``value``."""
        return self._cipher.encrypt(value).decode("ascii")

    def open(self, sealed: str) -> bytes:
        """Decrypt what :meth:`seal` made.

        :raises Undecryptable: when it is damaged or was made with another key
        """
        try:
            return self._cipher.decrypt(sealed.encode("ascii"))
        except (InvalidToken, UnicodeEncodeError):
            raise Undecryptable("the value is damaged or was encrypted with another key") from None

    def digest(self, value: bytes) -> str:
        """Give a hash of ``value`` that only a holder of the key can make or check."""
        return hmac.new(self._digest_key, value, hashlib.sha256).hexdigest()

    def __repr__(self) -> str:
        return "Sealer()"


def _as_bytes(key: str | bytes) -> bytes:
    value = key.encode() if isinstance(key, str) else key
    if not value:
        raise ValueError("an encryption key must not be empty")
    return value


def _derive(key: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"finauth " + purpose).derive(key)
