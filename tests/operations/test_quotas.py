"""Shares and limits of users: who may have how much of the queue and of the workers."""

from math import inf
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from access.problems import Busy, Invalid, Unavailable
from access.roles import Role
from operations import insertion, quotas, submission
from operations.actors import Actor
from operations.models import Operation, Quota
from operations.requests import Queueing, Submission
from tests.claiming import claim_next
from tests.factories import OperationFactory, WorkerFactory

pytestmark = pytest.mark.django_db
ME = Actor("user:test")
LIMITS = st.none() | st.integers(0, 3)


def user(name: str, role: Role | None = Role.OPERATOR) -> User:
    made = User.objects.create_user(name)
    if role is not None:
        made.groups.add(Group.objects.get_or_create(name=role.group)[0])
    return made


def submit(by: User, **queueing: Any) -> Operation:
    return submission.submit(Submission("echo", {}, Queueing(**queueing)), insertion.Submitter(by))


def claimed_by(owner: User) -> int:
    """Claim until no operation can be claimed; return how many the user has running."""
    while claim_next(ME) is not None:
        pass
    return Operation.objects.filter(created_by=owner, status="DISPATCHING").count()


def test_the_own_quota_comes_before_the_groups_and_those_before_the_settings(settings: Any) -> None:
    settings.MAX_RUNNING_PER_USER, settings.MAX_PENDING_PER_USER = 7, 0
    one, other = user("one"), user("other")
    wide = Group.objects.create(name="wide")
    one.groups.add(wide)
    Quota.objects.create(group=Group.objects.get(name="operator"), weight=2, max_running=3)
    Quota.objects.create(group=wide, weight=0.5, max_running=0)
    Quota.objects.create(user=one, max_pending=5)
    with CaptureQueriesContext(connection) as queries:
        found = quotas.allowances([one.pk, other.pk, 0])
    assert len(queries) == 1
    assert found == {
        one.pk: quotas.Allowance(2.0, inf, 5),
        other.pk: quotas.Allowance(2.0, 3, inf),
        0: quotas.Allowance(1.0, 7, inf),
    }


def test_a_user_of_twice_the_weight_gets_twice_the_workers() -> None:
    heavy, light = user("heavy"), user("light")
    Quota.objects.create(user=heavy, weight=2)
    for owner in (heavy, light):
        for _ in range(9):
            OperationFactory(created_by=owner)
    for _ in range(9):
        WorkerFactory()
    assert claimed_by(heavy) == 6


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_operations_run_than_the_user_may_have(limit: int) -> None:
    limited, other = user("limited"), user("other")
    Quota.objects.create(user=limited, max_running=limit)
    for owner in (limited, limited, limited, limited, other):
        OperationFactory(created_by=owner)
    for _ in range(8):
        WorkerFactory()
    assert claimed_by(limited) == limit
    assert claimed_by(other) == 1
    with pytest.raises(Unavailable, match=f"You may have {limit} operations running"):
        submit(limited, queue=False)


def test_no_more_operations_wait_than_the_user_may_have() -> None:
    limited = user("limited")
    Quota.objects.create(user=limited, max_pending=2)
    submit(limited)
    submit(limited)
    with pytest.raises(Busy, match="You may have 2 pending operations") as refusal:
        submit(limited)
    assert refusal.value.status_code == 429
    submit(user("other"))


@hypothesis_settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(LIMITS, st.lists(LIMITS, max_size=2), st.integers(0, 3))
def test_a_submission_is_refused_where_the_allowance_ends(
    settings: Any, own: int | None, of_groups: list[int | None], usual: int
) -> None:
    settings.MAX_PENDING_PER_USER = usual
    owner = user(f"one-{uuid4().hex}", None)
    for limit in of_groups:
        group = Group.objects.create(name=uuid4().hex)
        owner.groups.add(group)
        Quota.objects.create(group=group, max_pending=limit)
    Quota.objects.create(user=owner, max_pending=own)
    allowed = min(quotas.allowance_of(owner).max_pending, 4)
    for _ in range(int(allowed)):
        submit(owner)
    if allowed < 4:
        with pytest.raises(Busy):
            submit(owner)
    assert Operation.objects.filter(created_by=owner).count() == allowed


def test_a_submission_without_files_and_predecessors_is_one_statement() -> None:
    owner = user("one")
    with CaptureQueriesContext(connection) as queries:
        submit(owner)
    (statement,) = [query["sql"] for query in queries if "operations_operation" in query["sql"]]
    assert "INSERT INTO operations_operation " in statement


@pytest.mark.parametrize(
    "requirements",
    [{}, {"gpu": True}, {"cores": 1.50}, {"model": "ä\"'\\"}, {"b": 1, "a": 1e-9}],
)
def test_the_demand_of_a_new_operation_is_the_one_that_the_database_computes(
    requirements: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quotas, "MAX_DEMANDS", 1)
    owner = user("one")
    for _ in range(2):  # were the digests different, the second one would be refused
        submit(owner, requirements=requirements)


ROLES = {None: range(1), Role.OPERATOR: range(-100, 101), Role.STAFF: range(-32_768, 32_768)}


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    priority=st.one_of(st.integers(-32_768, 32_767), st.sampled_from([-101, -100, 0, 100, 101])),
    role=st.sampled_from([Role.OPERATOR, Role.STAFF]),
)
def test_the_range_of_the_priority_depends_on_the_role(priority: int, role: Role) -> None:
    by, _ = User.objects.get_or_create(username=role.group)
    by.groups.add(Group.objects.get_or_create(name=role.group)[0])
    if priority in ROLES[role]:
        quotas.require_priority(priority, by)
        return
    with pytest.raises(Invalid) as refusal:
        quotas.require_priority(priority, by)
    assert refusal.value.errors[0]["pointer"] == "/priority"
    assert f"the role {role.group}, {ROLES[role][0]} to {ROLES[role][-1]}" in str(refusal.value.detail)


def test_a_priority_out_of_range_is_refused_at_submission() -> None:
    with pytest.raises(Invalid, match="priority 101 is outside the range of the role operator, -100 to 100"):
        submit(user("operator"), priority=101)
    submit(user("staff", Role.STAFF), priority=101)


def test_a_quota_belongs_to_a_user_or_to_a_group() -> None:
    one = user("one")
    for wrong in (Quota(), Quota(user=one, group=one.groups.get()), Quota(user=one, weight=0)):
        with pytest.raises(ValidationError):
            wrong.full_clean()
    Quota(user=one, weight=0.5, max_running=0).full_clean()


def test_a_user_may_not_wait_with_endless_different_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round of a dispatcher looks at all of them, so they would delay the operations of others."""
    monkeypatch.setattr(quotas, "MAX_DEMANDS", 3)
    one, other = user("one"), user("other")
    for cores in (1, 2, 3, 1, 3):
        submit(one, requirements={"cores": cores})
    with pytest.raises(Busy, match="3 different requirements"):
        submit(one, requirements={"cores": 4})
    assert Operation.objects.filter(created_by=one).count() == 5
    submit(one, requirements={"cores": 2})
    submit(other, requirements={"cores": 4})
    Operation.objects.filter(requirements={"cores": 1}).update(blockers=1)
    with pytest.raises(Busy):
        submit(one, requirements={"cores": 4})
    Operation.objects.filter(requirements={"cores": 1}).update(status="RUNNING")
    submit(one, requirements={"cores": 4})
