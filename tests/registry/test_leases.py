"""A duty has one holder at a time, and a holder that does not renew it is replaced."""

from datetime import timedelta

import pytest
from django.db.models import F
from django.db.models.functions import Now

from ktrdr_site.schedules import LEASE, Leader
from registry import leases
from registry.models import Lease
from tests.operations.test_at_once import at_once


def move(**step: float) -> None:
    """Move the lease as a step of the database's clock in the other direction would."""
    Lease.objects.update(renewed_at=F("renewed_at") + timedelta(**step))


@pytest.mark.django_db
def test_a_lease_has_one_holder_until_it_ends_or_is_released() -> None:
    assert leases.acquire("duty", "a", 5)
    assert not leases.acquire("duty", "b", 5)
    assert leases.acquire("duty", "a", 5)
    move(seconds=-6)
    assert leases.acquire("duty", "b", 5)
    assert not leases.acquire("duty", "a", 5), "the frozen holder has thawed"
    leases.release("duty", "a")
    assert not leases.acquire("duty", "a", 5), "only its holder releases it"
    leases.release("duty", "b")
    assert leases.acquire("duty", "a", 5)


@pytest.mark.django_db
@pytest.mark.parametrize("hours", [-1, 1])
def test_a_step_of_the_clock_keeps_nobody_from_the_duty(hours: int) -> None:
    assert leases.acquire("duty", "a", 5)
    move(hours=hours)
    assert leases.acquire("duty", "b", 5)


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_gets_it() -> None:
    results = at_once(*(lambda name=name: leases.acquire("duty", f"holder {name}", 5) for name in range(8)))
    assert sorted(results) == [False] * 7 + [True]


class NoCluster:
    process = None
    stopped = 0

    def start(self) -> None:
        return

    def stop(self) -> None:
        self.stopped += 1

    @property
    def is_alive(self) -> bool:
        return False


@pytest.mark.django_db
def test_a_frozen_leader_is_replaced_and_stops_its_cluster_when_it_thaws() -> None:
    first, second = Leader(NoCluster()), Leader(NoCluster())  # type: ignore[arg-type]  # stands for it
    assert first.tick()
    assert not second.tick()
    Lease.objects.update(renewed_at=Now() - timedelta(seconds=60))
    assert second.tick()
    assert not first.tick()
    assert (first.leads, first.cluster.stopped, second.leads) == (False, 1, True)
    second.stop()
    assert not Lease.objects.filter(name=LEASE).exists()
    assert first.tick(), "at once"
