"""What people do with subscriptions."""

import uuid
from datetime import UTC, datetime

from operations.models import Delivery, Subscription
from operations.models.notification import Kind, new_salt
from operations.notifications.announce import page_of


def send_test(subscription: Subscription) -> Delivery:
    """Notes a test; it is sent with what else is due, within seconds."""
    payload = {
        "type": Kind.TEST.value,
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"subscription": subscription.name, "url": page_of("notifications")},
    }
    return Delivery.objects.create(
        subscription=subscription, kind=Kind.TEST, key=f"test:{uuid.uuid4()}", payload=payload
    )


def change_secret(subscription: Subscription) -> None:
    """From now on everything is signed with another secret, what waits included."""
    subscription.salt = new_salt()
    Subscription.objects.filter(pk=subscription.pk).update(salt=subscription.salt)


def set_active(subscription: Subscription, active: bool) -> None:
    Subscription.objects.filter(pk=subscription.pk).update(active=active)
