"""Actions of people on subscriptions. Each is audited, without the target address, which may contain a secret."""

import uuid
from collections.abc import Collection
from datetime import UTC, datetime

from django.db import transaction

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from operations.models import Delivery, Subscription
from operations.models.notification import Kind, new_salt
from operations.notifications.outbox import keep, page_url

Act = AuditEntry.Act


@transaction.atomic
def create(subscription: Subscription, by: Actor) -> Subscription:
    """Store a new subscription that the form has validated."""
    subscription.created_by_id = by.user_id
    subscription.save()
    audit.record(Act.SUBSCRIPTION_CREATED, subscription.name, by, _summary(subscription))
    return subscription


@transaction.atomic
def change(subscription: Subscription, fields: Collection[str], by: Actor) -> None:
    """Store these fields, which the form has validated: the secret or others may have been changed since it was read."""
    subscription.save(update_fields=fields)
    audit.record(Act.SUBSCRIPTION_CHANGED, subscription.name, by, _summary(subscription))


def _summary(subscription: Subscription) -> str:
    return f"{subscription.channel}: {', '.join(subscription.kinds)}"


@transaction.atomic
def delete(subscription: Subscription, by: Actor) -> None:
    """Delete the subscription and its deliveries, including those that are due; nothing if somebody else just has."""
    # Wait for the changes that are storing a delivery; later ones leave it out.
    if Subscription.objects.select_for_update(of=("self",)).filter(pk=subscription.pk).first() is None:
        return
    subscription.delete()
    audit.record(Act.SUBSCRIPTION_DELETED, subscription.name, by)


@transaction.atomic
def send_test(subscription: Subscription, by: Actor) -> Delivery:
    """Queue a test delivery, which is sent within seconds. Raises Subscription.DoesNotExist."""
    if not keep([subscription.pk]):
        raise Subscription.DoesNotExist
    audit.record(Act.SUBSCRIPTION_TESTED, subscription.name, by)
    payload = {
        "type": Kind.TEST.value,
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"subscription": subscription.name, "url": page_url("notifications")},
    }
    return Delivery.objects.create(
        subscription=subscription, kind=Kind.TEST, key=f"test:{uuid.uuid4()}", payload=payload
    )


@transaction.atomic
def change_secret(subscription: Subscription, by: Actor) -> None:
    """Sign everything with a new secret from now on, including queued deliveries. Raises Subscription.DoesNotExist."""
    subscription.salt = new_salt()
    if not Subscription.objects.filter(pk=subscription.pk).update(salt=subscription.salt):
        raise Subscription.DoesNotExist
    audit.record(Act.SUBSCRIPTION_SECRET_CHANGED, subscription.name, by)


@transaction.atomic
def set_active(subscription: Subscription, active: bool, by: Actor) -> None:
    if Subscription.objects.filter(pk=subscription.pk, active=not active).update(active=active):
        act = Act.SUBSCRIPTION_CONTINUED if active else Act.SUBSCRIPTION_PAUSED
        audit.record(act, subscription.name, by)
