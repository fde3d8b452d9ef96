from collections.abc import Callable, Iterator
from typing import Any

import pytest

from operations.models import Subscription
from tests.notifications.receiver import Receiver, serving

Subscribe = Callable[..., Subscription]


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.HOOK_NETWORKS = ["127.0.0.0/8"]
    with serving() as one:
        yield one


@pytest.fixture
def subscribe(db: None, receiver: Receiver) -> Subscribe:
    def make(**fields: Any) -> Subscription:
        given = {
            "name": "mine",
            "channel": "webhook",
            "target": receiver.url,
            "kinds": ["operation.completed", "operation.failed", "worker.lost"],
        }
        return Subscription.objects.create(**{**given, **fields})

    return make
