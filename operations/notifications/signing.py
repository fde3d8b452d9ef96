"""Signs webhooks so that a receiver can verify them: Standard Webhooks, version 1.

`webhook-signature: v1,BASE64(HMAC-SHA256(key, ID.TIMESTAMP.BODY))`; the secret that people copy is `whsec_` and the key
in base64. The key is derived from the subscription's salt and our secret key, so the database alone does not reveal it.
"""

import base64
import hashlib
import hmac

from django.utils.crypto import salted_hmac

from operations.models import Subscription

PREFIX = "whsec_"


def key_of(subscription: Subscription) -> bytes:
    return salted_hmac("ktrdr.webhook", subscription.salt, algorithm="sha256").digest()


def secret_of(subscription: Subscription) -> str:
    return PREFIX + base64.b64encode(key_of(subscription)).decode()


def headers(subscription: Subscription, delivery_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    signed = f"{delivery_id}.{timestamp}.".encode() + body
    mac = hmac.new(key_of(subscription), signed, hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }
