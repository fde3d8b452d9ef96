"""Sample data: workers of all statuses, operations of all kinds and statuses."""

from pathlib import Path

from django.contrib.auth.models import User

from operations.models import (
    Delivery,
    Operation,
    Schedule,
    ScheduleRun,
    SeedRun,
    SeedRunMember,
    Subscription,
)
from registry.models import Sweep
from strategies import saving
from strategies.requests import NewStrategy, NewVersion
from tests.browser.sample_operations import (
    STRATEGY,
    ago,
    create_backtest,
    create_failed,
    create_import,
    create_operation,
    create_pending,
    create_running,
    create_training,
)
from tests.browser.sample_workers import create_workers
from tests.studies.rows import create_reported_study, keep_details

EXAMPLES = Path(__file__).parents[2] / "examples" / "strategies"


def populate(user: User) -> dict[str, str]:
    """Create the sample data and return ids of operations by role."""
    create_workers()
    Sweep.objects.create(kind="health", started_at=ago(seconds=4), completed_at=ago(seconds=4))
    imports = [create_import(user, symbol) for symbol in ("AAPL", "FB", "GOOG", "IBM", "MSFT")]
    operations = {
        "imported": imports[0],
        "trained": create_training(user),
        "trained_again": create_training(user, shift=0.04),
        "failed": create_failed(user),
        "cancelled": create_operation(user, "training", "CANCELLED", worker_id="training-02", hours=5),
        "waiting": create_pending(user),
        "running": create_running(user),
    }
    operations["backtested"] = create_backtest(user, operations["trained"])
    operations["backtested_again"] = create_backtest(user, operations["trained_again"], drift=-0.0002)
    create_strategies(user)
    return {role: row.pk for role, row in operations.items()} | {
        "subscription": str(create_subscription(user).pk),
        "study": create_study_with_details(user),
        "seed_run": create_seed_run(user, [operations["trained"], operations["trained_again"]]).seed_run_id,
        "schedule": create_schedule(user, operations["trained"]).schedule_id,
    }


def create_study_with_details(user: User) -> str:
    study = create_reported_study(user, trials=60)
    keep_details(study, 1)
    return study.study_id


def create_strategies(user: User) -> None:
    """Save an example with two versions, the newest with a note, and the text of the trainings."""
    text = (EXAMPLES / "moving_average_cross.yaml").read_text()
    new = NewStrategy(
        name="ma_cross",
        title="Moving averages that cross",
        note="Holds **long** trends.",
        tags=["trend"],
        change="from the example",
        strategy_yaml=text,
    )
    saving.create(new, user)
    longer = text.replace("period: 100", "period: 150").replace("period: 50", "period: 60")
    saving.add_version("ma_cross", NewVersion(strategy_yaml=longer, change="slower"), user)


def create_subscription(user: User) -> Subscription:
    """Create a subscription with a delivery of each state."""
    subscription = Subscription.objects.create(
        name="The desk",
        channel="webhook",
        target="https://hooks.example.org/ktrdr/" + "a" * 60,
        kinds=["operation.failed", "worker.lost"],
        created_by=user,
    )
    tried = {"at": "2026-05-04T10:00:00+00:00", "status": 500, "problem": "status 500", "seconds": 0.2}
    for state, tries in (("pending", 0), ("delivered", 1), ("failed", 10)):
        ended = None if state == "pending" else ago(seconds=60)
        Delivery.objects.create(
            subscription=subscription, kind="worker.lost", key=state, state=state, tries=tries, ended_at=ended,
            payload={"data": {"worker_id": "training-01"}}, log=[tried] * tries,
        )  # fmt: skip
    return subscription


def create_seed_run(user: User, operations: list[Operation]) -> SeedRun:
    seed_run = SeedRun.objects.create(created_by=user)
    for seed, operation in enumerate(operations):
        SeedRunMember.objects.create(seed_run=seed_run, operation=operation, seed=seed)
    return seed_run


def create_schedule(user: User, last: Operation) -> Schedule:
    """Create a schedule whose last submission failed, with an entry of each outcome in its log."""
    schedule = Schedule.objects.create(
        name="Retrain every morning", cron="30 6 * * mon-fri", time_zone="Europe/Berlin", catch_up="once", overlap="skip",
        submission={"operation_type": "training", "strategy_yaml": STRATEGY}, created_by=user, last_operation=last,
        next_run_at=ago(seconds=90), not_before=ago(seconds=-60), failures=1, problem="There is no market data for IBM 1d.",
    )  # fmt: skip
    for outcome, detail in (
        ("submitted", ""),
        ("skipped", f"The operation {last.pk} had not ended."),
        ("failed", schedule.problem),
    ):
        operation = last if outcome == "submitted" else None
        ScheduleRun.objects.create(
            schedule=schedule, due_at=ago(hours=2), outcome=outcome, operation=operation, detail=detail
        )
    return schedule
