"""One try of one delivery. It always ends in time with an `Outcome`, whatever the receiver does."""

import asyncio
import json
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache

import httpx
from django.conf import settings
from django.core.mail import EmailMessage

from access.outbound import BadAddress
from operations.models import Delivery, Subscription
from operations.notifications import receivers, signing
from operations.notifications.wording import text_of

TIMEOUT_S = 5.0
"""Limit of a whole try, including name resolution and a body that never ends."""


@dataclass(frozen=True, slots=True)
class Outcome:
    seconds: float
    status: int | None = None
    """HTTP status of the receiver's response."""
    problem: str = ""
    """Why the delivery did not arrive; empty if it did."""


async def send(delivery: Delivery) -> Outcome:
    by_webhook = delivery.subscription.channel == Subscription.Channel.WEBHOOK
    began = time.monotonic()
    status, problem = None, ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            if by_webhook:
                status = await _post(delivery)
            else:
                await asyncio.to_thread(_mail, delivery)
    except TimeoutError:
        problem = f"no response within {TIMEOUT_S:g} s"
    except (
        BadAddress,
        httpx.HTTPError,
        httpx.InvalidURL,
        smtplib.SMTPException,
        OSError,
    ) as error:
        problem = " ".join(str(error).split())[:300] or type(error).__name__
    if status is not None and not 200 <= status < 300:
        problem = f"answered {status}" + (" (redirects are not followed)" if 300 <= status < 400 else "")
    return Outcome(round(time.monotonic() - began, 3), status, problem)


async def _post(delivery: Delivery) -> int:
    """Return the status of the response; its body is not read."""
    url = httpx.URL(delivery.subscription.target)
    address = await asyncio.to_thread(receivers.address_of, str(url))
    body = json.dumps(delivery.payload).encode()
    headers = {
        "Host": url.netloc.decode(),
        "Content-Type": "application/json",
        "User-Agent": "KTRDR",
        **signing.headers(delivery.subscription, str(delivery.pk), int(time.time()), body),
    }
    # The request goes to the checked address, but the certificate must be valid for the name.
    extensions = {"sni_hostname": url.host}
    async with (
        httpx.AsyncClient(
            trust_env=False, follow_redirects=False, timeout=TIMEOUT_S, verify=_public_authorities()
        ) as http,
        http.stream(
            "POST", url.copy_with(host=address), content=body, headers=headers, extensions=extensions
        ) as response,
    ):
        return response.status_code


@lru_cache(maxsize=1)
def _public_authorities() -> ssl.SSLContext:
    """Loaded once per process, because loading takes longer than the rest of a try."""
    return httpx.create_ssl_context(trust_env=False)


def _mail(delivery: Delivery) -> None:
    subject, body = text_of(delivery)
    host = settings.DEFAULT_FROM_EMAIL.rpartition("@")[2].rstrip(">") or "localhost"
    headers = {"Message-ID": f"<{delivery.pk}@{host}>", "Date": formatdate()}
    EmailMessage(subject, body, to=[delivery.subscription.target], headers=headers).send()
