"""What a busy researcher's site holds, for `workbench`: ranked runs, a study of many trials, and a long chart."""

import json
import random
from typing import Any

TRIALS = 10_000
BARS = 1_000_000


def label_and_measure() -> str:
    """Give every run metrics and settings, every second one a tag, and every tenth one a title; return the tag."""
    from operations.models import Operation, RunMetrics, Tag

    chance = random.Random(5)
    keys = list(Operation.objects.order_by("created_at").values_list("pk", "operation_type"))
    RunMetrics.objects.bulk_create(
        (
            RunMetrics(operation_id=pk, **_figures(kind, number, chance))
            for number, (pk, kind) in enumerate(keys)
        ),
        batch_size=1000,
    )
    tag = Tag.objects.create(name="even")
    links = Operation.tags.through
    links._base_manager.bulk_create(
        [links(operation_id=pk, tag_id=tag.pk) for pk, _ in keys[::2]], batch_size=1000
    )
    titled = Operation.objects.in_bulk([pk for pk, _ in keys[::10]])
    for number, run in enumerate(titled.values()):
        run.title = f"Run number {number}"
    Operation.objects.bulk_update(titled.values(), ["title"], batch_size=1000)
    return str(tag.pk)


def _figures(kind: str, number: int, chance: random.Random) -> dict[str, Any]:
    settings: dict[str, Any] = {f"strategy.part.value_{index}": index for index in range(60)}
    settings |= {"seed": number, "strategy.training.epochs": chance.choice([10, 20, 50])}
    curve = [1 + chance.gauss(0, 0.02) * point for point in range(40)]
    if kind == "training":
        score = chance.uniform(0.3, 0.6)
        return {"validation_score": score, "test_score": score, "settings": settings, "curve": curve}
    sharpe = chance.gauss(0.3, 0.6)
    return {
        "sharpe": sharpe, "total_return": sharpe / 5, "excess_return": sharpe / 5 - 0.1, "trades": chance.randint(1, 90),
        "psr": min(max(0.5 + sharpe / 4, 0.01), 0.99), "dsr": chance.random(), "max_drawdown": -chance.random(),
        "win_rate": chance.random(), "settings": settings, "curve": curve,
    }  # fmt: skip


def reported_study() -> str:
    """Create a study whose trials all have completed, with a report that has every part; return its id."""
    from django.contrib.auth.models import User

    from operations import artifacts
    from operations.models import Operation
    from studies.models import StudyTrial
    from tests.studies.rows import REPORT, create_reported_study
    from workers.studies.report_tables import MAX_POINTS

    chance = random.Random(6)
    study = create_reported_study(
        User.objects.get(username="admin"), name="a long search", planned=TRIALS, trials=0,
        proposed=TRIALS, completed=TRIALS,
    )  # fmt: skip
    axes = {
        "/indicators/fast/period": (5, 50),
        "/indicators/slow/period": (60, 250),
        "/backtest/hold": (1, 20),
    }
    trials = [
        StudyTrial(
            study=study, number=number, state="completed", value=chance.gauss(0, 0.5),
            parameters={name: chance.randint(*limits) for name, limits in axes.items()},
            scores={"trades": float(chance.randint(10, 300)), "total_return": chance.gauss(0, 0.2)},
        )
        for number in range(TRIALS)
    ]  # fmt: skip
    StudyTrial.objects.bulk_create(trials, batch_size=2000)
    drawn = trials[:MAX_POINTS]
    points = {
        "of": TRIALS,
        "number": [trial.number for trial in drawn],
        "value": [trial.value for trial in drawn],
        "parameters": {name: [trial.parameters[name] for trial in drawn] for name in axes},
    }
    importance = [{"parameter": name, "share": 1 / len(axes)} for name in axes]
    report = json.dumps(REPORT | {"points": points, "importance": importance}).encode()
    reporter = Operation.objects.get(pk=study.reporter_id)
    reporter.artifacts.update(file=artifacts.put([report]).sha256)
    return study.study_id


def long_chart(symbol: str) -> None:
    """Store the chart of `BARS` bars of a minute with volume under the symbol."""
    from datetime import UTC

    from operations import artifacts
    from operations.models import MarketData
    from tests.browser.charts import market_data_chart, sample_bars

    times = sample_bars(BARS).index
    MarketData.objects.create(
        symbol=symbol, timeframe="1m", rows=BARS, quality={}, file=artifacts.put([b"bars"]),
        chart=artifacts.put([market_data_chart(BARS)]),
        start=times[0].to_pydatetime().astimezone(UTC), end=times[-1].to_pydatetime().astimezone(UTC),
    )  # fmt: skip
