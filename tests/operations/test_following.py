"""Followers of a failed or cancelled operation end with it, once, whatever their order."""

import pytest

from operations import interventions, lifecycle
from operations.actors import SYSTEM
from operations.models import Event, Operation
from operations.states import Status
from tests.factories import OperationFactory


@pytest.mark.django_db
@pytest.mark.parametrize("names", [("a", "b", "c"), ("a", "c", "b")], ids=["near first", "far first"])
@pytest.mark.parametrize("ends", ["cancelled", "failed"])
def test_what_waits_for_two_that_end_together_ends_once(names: tuple[str, str, str], ends: str) -> None:
    """Both wait for the first, and the last for the middle one as well; which is met first is a matter of names."""
    first, middle, last = (OperationFactory(pk=name * 16, queue=name != "a") for name in names)
    middle.after.add(first)
    last.after.add(first, middle)
    if ends == "cancelled":
        interventions.cancel(first.pk, SYSTEM, "changed my mind")
        expected = Status.CANCELLED
    else:
        assert lifecycle.fail_without_worker(first.pk, "no worker is registered")
        expected = Status.FAILED
    assert set(Operation.objects.values_list("status", flat=True)) == {expected}
    for operation in (first, middle, last):
        assert Event.objects.filter(operation=operation, to_status=expected).count() == 1
