"""Proof that a response comes from the process that registered: an HMAC over the caller's nonce.

The backend sends a new nonce with each call. The agent returns the HMAC-SHA256 over nonce, worker id and instance id
with its proof key, which it gets from the response to its registration and which is never sent to its address. For
its first registration the agent chooses the key itself, because the backend checks the address before it responds.
"""

import hashlib
import hmac
import re
import secrets

NONCE_HEADER = "Ktrdr-Nonce"
PROOF_HEADER = "Ktrdr-Proof"
ATTEMPT_HEADER = "Ktrdr-Attempt-Secret"
"""The secret of the attempt for which a worker transfers a file."""
_NONCE = re.compile(r"[A-Za-z0-9_-]{16,128}")


def create_nonce() -> str:
    return secrets.token_urlsafe(24)


def create_key() -> str:
    return secrets.token_urlsafe(32)


def is_nonce(text: str) -> bool:
    return _NONCE.fullmatch(text) is not None


def prove(key: str, nonce: str, worker_id: str, instance_id: str) -> str:
    """Return the proof in hexadecimal. The parts contain no line feed, so no two triples have the same text."""
    text = f"ktrdr response\n{nonce}\n{worker_id}\n{instance_id}"
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def is_valid(given: str, key: str, nonce: str, worker_id: str, instance_id: str) -> bool:
    expected = prove(key, nonce, worker_id, instance_id)
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())
