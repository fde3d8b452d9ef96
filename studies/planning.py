"""The plan of a study: what it would cost and which ratio luck alone would reach. Nothing is stored."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date, timedelta
from typing import Any

from django.db.models import Avg, Count, F, Sum

from access.problems import invalid
from operations import market_data
from operations.models import Artifact, MarketData, Operation, TrialCount
from operations.requests import DateRange
from operations.states import Status
from studies import earlier_studies
from studies.batching import count_workers
from studies.folds import Rows, count_folds, require_fitting_folds
from studies.identity import spec_sha256
from studies.models import Study, StudyCount
from studies.proposing import bound_study
from studies.reading import invalid_study, read
from studies.request import StudyRequest
from studies.significance import needed_sharpe
from workers.studies.binding import BoundStudy

OPERATION_TYPES: Mapping[str, str] = {
    "decisions": "study_batch",
    "rules": "study_batch",
    "training": "study_training_batch",
}
MODEL_FILES = ("model.safetensors", "model.json")
MANY_FOLDS = 50
DAYS_OF_YEAR = 365.25


@dataclass(frozen=True, slots=True)
class Expected:
    """`origin` names the runs from which the hours are known."""

    workers: int
    cpu_hours: float | None = None
    hours: float | None = None
    origin: str = "no earlier runs"


@dataclass(frozen=True)
class Plan:
    bound: BoundStudy
    inputs: dict[str, str]
    """input name -> SHA-256 of the bars and of the model"""
    dates: DateRange
    """Of the search part."""
    folds: int
    runs: int
    expected: Expected
    counted_before: int
    needed_sharpe: float | None
    spec_sha256: str
    warnings: list[dict[str, Any]] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Return the plan as the API shows it."""
        expected = asdict(self.expected)
        expected["from"] = expected.pop("origin")
        return {
            "valid": True,
            "name": self.bound.study.name,
            "kind": self.bound.kind,
            "trials": self.bound.trials,
            "folds": self.folds,
            "runs": self.runs,
            "expected": expected,
            "counted_before": self.counted_before,
            "needed_sharpe": self.needed_sharpe,
            "warnings": self.warnings,
        }


def make_plan(request: StudyRequest) -> Plan:
    """Return the plan. Raises Invalid."""
    bound = read(request.study_yaml, request.strategy_yaml)
    model = _model_inputs(bound, request)
    dates = search_dates(bound)
    inputs = _bars(bound, dates) | model
    rows, years = _measure(bound, dates)
    require_fitting_folds(bound, rows)
    fold_count = count_folds(bound.study.validation, rows.number)
    runs = bound.trials * fold_count * (bound.study.repeat.seeds if bound.kind == "training" else 1)
    sha256 = spec_sha256(bound, request, inputs)
    counted = count_before(symbols_of(bound), bound.strategy.base_timeframe, sha256)
    return Plan(
        bound=bound,
        inputs=inputs,
        dates=dates,
        folds=fold_count,
        runs=runs,
        expected=_expect(bound, request.strategy_yaml, runs),
        counted_before=counted,
        needed_sharpe=needed_sharpe(bound.trials + counted, years),
        spec_sha256=sha256,
        warnings=[*_warnings(bound, fold_count), *earlier_studies.warnings(inputs, sha256)],
    )


def symbols_of(bound: BoundStudy) -> tuple[str, ...]:
    return bound.study.data.symbols or bound.strategy.symbols


def traded_symbols(study: Study) -> tuple[str, ...]:
    """Return the symbols that the trials trade, in the order of the data, which also contain those that its strategy only
    reads. Raises Invalid if the study cannot be read any more.
    """
    traded = symbols_of(bound_study(study))
    return tuple(dict.fromkeys(row["symbol"] for row in study.data if row["symbol"] in traded))


def search_dates(bound: BoundStudy) -> DateRange:
    """Return the days of the search: those of the study, else the strategy's, up to the day before the holdout."""
    study, training_data = bound.study, bound.strategy.training_data
    start = study.data.since or training_data.start
    end = study.data.until or training_data.end
    if study.holdout is not None:
        end = study.holdout.from_ - timedelta(days=1)
    if start and end and start > end:
        raise invalid_study(
            bound, "/holdout/from", f"the search part is empty: it would run from {start} to {end}"
        )
    return DateRange(start_date=start, end_date=end)


def count_before(symbols: tuple[str, ...], timeframe: str, sha256: str) -> int:
    """Return the distinct trials that were counted on the data: the largest count of one of its symbols.

    The trials of earlier studies with the same spec are those of this one: they count once.
    """
    data = {"symbol__in": symbols, "timeframe": timeframe}
    same = dict(StudyCount.objects.filter(spec_sha256=sha256, **data).values_list("symbol", "trials"))
    rows = TrialCount.objects.filter(**data).values_list("symbol", "trials")
    return max((trials - same.get(symbol, 0) for symbol, trials in rows), default=0)


def _model_inputs(bound: BoundStudy, request: StudyRequest) -> dict[str, str]:
    """Return input name -> SHA-256 of the model's files, for a study of decisions."""
    if bound.kind != "decisions":
        if request.model is not None:
            raise invalid("/model", f"A study of kind {bound.kind} uses no trained model; remove `model`.")
        return {}
    if request.model is None:
        raise invalid(
            "/model", "The study searches decisions of a trained model; set `model` to a training's id."
        )
    training = Operation.objects.filter(pk=request.model, operation_type="training").first()
    if training is None or training.status != Status.COMPLETED:
        state = "does not exist" if training is None else f"is {training.status}"
        raise invalid("/model", f"The training {request.model} {state}; choose a completed one.")
    files = training.artifacts.filter(role=Artifact.Role.OUTPUT, name__in=MODEL_FILES)
    inputs = {f"model/{name}": sha256 for name, sha256 in files.values_list("name", "file_id")}
    if len(inputs) < len(MODEL_FILES):
        raise invalid("/model", f"The training {training.pk} stored no model.")
    return inputs


def _bars(bound: BoundStudy, dates: DateRange) -> dict[str, str]:
    strategy, base = bound.strategy, bound.strategy.base_timeframe
    if bound.study.data.timeframe not in (None, base):
        message = f"the strategy's base timeframe is {base}, not {bound.study.data.timeframe}"
        raise invalid_study(bound, "/data/timeframe", message)
    symbols = symbols_of(bound)
    if not symbols:
        raise invalid_study(bound, "/data", "the strategy lists no symbols; set data.symbols")
    pointer = "/study_yaml/data/symbols" if bound.study.data.symbols else "/strategy_yaml"
    bars = market_data.inputs_of(symbols, strategy.timeframes, base, dates, pointer)
    others = strategy.other_symbols
    return bars | market_data.inputs_of(others, strategy.timeframes, base, dates, "/strategy_yaml")


def _measure(bound: BoundStudy, dates: DateRange) -> tuple[Rows, float]:
    """Return the bars of the shortest symbol in the search part, and its years; bars are assumed evenly spread."""
    base = bound.strategy.base_timeframe
    shortest, years = Rows("", 0), 0.0
    for symbol, stored in market_data.find(symbols_of(bound)).items():
        bars, days = _bars_within(stored[base], dates)
        if not shortest.symbol or bars < shortest.number:
            shortest = Rows(symbol, bars)
        years = max(years, days / DAYS_OF_YEAR)
    return shortest, years


def _bars_within(bars: MarketData, dates: DateRange) -> tuple[int, float]:
    first, last = bars.start.date(), bars.end.date()
    start, end = max(dates.start_date or date.min, first), min(dates.end_date or date.max, last)
    days, all_days = (end - start).days + 1, (last - first).days + 1
    return round(bars.rows * max(0, days) / all_days), float(max(0, days))


def _expect(bound: BoundStudy, strategy_yaml: str, runs: int) -> Expected:
    workers = count_workers(OPERATION_TYPES[bound.kind])
    usable = max(1, workers // 2)
    if bound.kind == "training":
        earlier = Operation.objects.filter(operation_type="training", status=Status.COMPLETED)
        earlier = earlier.filter(parameters__strategy_yaml=strategy_yaml)
        took = earlier.aggregate(mean=Avg(F("completed_at") - F("started_at")), number=Count("pk"))
        per_run = took["mean"].total_seconds() if took["mean"] else None
        origin = f"{took['number']} earlier trainings of this strategy"
    else:
        took = Study.objects.filter(kind=bound.kind, completed__gt=0).aggregate(
            cpu=Sum("cpu_ms"), number=Sum("completed")
        )
        per_run = took["cpu"] / took["number"] / 1000 if took["number"] else None
        origin = f"{took['number'] or 0:,} earlier trials of kind {bound.kind}"
        runs = bound.trials
    if per_run is None:
        return Expected(workers)
    cpu_hours = per_run * runs / 3600
    return Expected(workers, round(cpu_hours, 4), round(cpu_hours / usable, 4), origin)


def _warnings(bound: BoundStudy, fold_count: int) -> list[dict[str, Any]]:
    warnings: list[dict[str, Any]] = [
        {"code": "few_points", "message": warning.message, "line": warning.line} for warning in bound.warnings
    ]
    if fold_count > MANY_FOLDS:
        message = f"each trial runs on {fold_count} folds; larger test windows cost less"
        warnings.append({"code": "many_folds", "message": message})
    if bound.study.holdout is None:
        message = "no part of the data is sealed, so the winner cannot be tested; add holdout: {from: DATE}"
        warnings.append({"code": "no_holdout", "message": message})
    return warnings
