"""What people do with subscriptions. Each leaves an audit entry; the address, in which a secret may stand, is in none."""

import uuid
from datetime import UTC, datetime

from django.db import transaction

from access import audit
from access.actors import Actor
from access.models import AuditEntry
from operations.models import Delivery, Subscription
from operations.models.notification import Kind, new_salt
from operations.notifications.announce import page_of

Act = AuditEntry.Act


@transaction.atomic
def save(subscription: Subscription, by: Actor) -> Subscription:
    """A new one, or one with changes, that the form has checked."""
    is_new = subscription.pk is None
    if is_new:
        subscription.created_by_id = by.user_id
    subscription.save()
    what = f"{subscription.channel}: {', '.join(subscription.kinds)}"
    act = Act.SUBSCRIPTION_CREATED if is_new else Act.SUBSCRIPTION_CHANGED
    audit.record(act, subscription.name, by, what)
    return subscription


@transaction.atomic
def delete(subscription: Subscription, by: Actor) -> None:
    """With its deliveries, also those that are due."""
    subscription.delete()
    audit.record(Act.SUBSCRIPTION_DELETED, subscription.name, by)


@transaction.atomic
def send_test(subscription: Subscription, by: Actor) -> Delivery:
    """Notes a test; it is sent with what else is due, within seconds."""
    audit.record(Act.SUBSCRIPTION_TESTED, subscription.name, by)
    payload = {
        "type": Kind.TEST.value,
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"subscription": subscription.name, "url": page_of("notifications")},
    }
    return Delivery.objects.create(
        subscription=subscription, kind=Kind.TEST, key=f"test:{uuid.uuid4()}", payload=payload
    )


@transaction.atomic
def change_secret(subscription: Subscription, by: Actor) -> None:
    """From now on everything is signed with another secret, what waits included."""
    subscription.salt = new_salt()
    Subscription.objects.filter(pk=subscription.pk).update(salt=subscription.salt)
    audit.record(Act.SUBSCRIPTION_SECRET_CHANGED, subscription.name, by)


@transaction.atomic
def set_active(subscription: Subscription, active: bool, by: Actor) -> None:
    if Subscription.objects.filter(pk=subscription.pk, active=not active).update(active=active):
        act = Act.SUBSCRIPTION_CONTINUED if active else Act.SUBSCRIPTION_PAUSED
        audit.record(act, subscription.name, by)
