"""Events that wake a dispatcher."""

import pytest
from asgiref.sync import async_to_sync

from operations.dispatching.dispatcher import db
from operations.dispatching.listening import Listener
from registry import dispatch_channel

pytestmark = pytest.mark.django_db(transaction=True)
NOT_LONG_S = 0.2


def test_what_was_notified_often_during_a_round_is_heard_once() -> None:
    """A round for each of a hundred submissions would keep the dispatcher busy with nothing for seconds."""

    @async_to_sync
    async def heard() -> list[bool]:
        async with Listener() as listener:
            for _ in range(20):
                await db(dispatch_channel.notify_dispatchers)
            return [await listener.wait(NOT_LONG_S) for _ in range(2)]

    assert heard() == [True, False]


def test_what_is_notified_while_nothing_is_awaited_ends_the_wait() -> None:
    @async_to_sync
    async def heard() -> list[bool]:
        async with Listener() as listener:
            before = await listener.wait(NOT_LONG_S)
            await db(dispatch_channel.notify_dispatchers)
            return [before, await listener.wait(5.0)]

    assert heard() == [False, True]
