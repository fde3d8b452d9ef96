"""The names that filter expressions over runs know, and the conditions that they stand for."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.contrib.auth.models import User
from django.db.models import Q

from operations.labels import normalize_tag
from operations.models import Operation
from operations.registered_kinds import find_kind
from operations.runs.columns import METRICS, find_metric
from operations.states import Status

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d{1,3})?", re.IGNORECASE)
_LOOKUPS = {"=": "", "<": "__lt", "<=": "__lte", ">": "__gt", ">=": "__gte"}


class ValueRefused(Exception):
    """A value or an operator does not fit a name. The message is the start of a sentence."""

    def __init__(self, problem: str, *, concerns_operator: bool = False) -> None:
        super().__init__(problem)
        self.concerns_operator = concerns_operator


def condition(name: str, operator: str, value: str) -> Q:
    """Return the condition on operations. Raises ValueRefused."""
    if (metric := find_metric(name)) is not None:
        return _compare(f"run_metrics__{metric.name}", operator, _number(name, value), name)
    if name in _TIMES:
        return _at_day(_TIMES[name], operator, *_day(name, value), name)
    if operator == "~" and name in _CONTAINED:
        return _CONTAINED[name](value)
    if operator not in ("=", "!="):
        operators = "=, != or ~" if name in _CONTAINED else "= or !="
        raise ValueRefused(f"{name} needs {operators}, not {operator},", concerns_operator=True)
    selected = _EQUAL[name](value)
    return selected if operator == "=" else ~selected


def _compare(field: str, operator: str, value: float, name: str) -> Q:
    if operator == "!=":
        return Q(**{f"{field}__isnull": False}) & ~Q(**{field: value})
    if operator not in _LOOKUPS:
        raise ValueRefused(f"{name} needs =, !=, <, <=, > or >=, not {operator},", concerns_operator=True)
    return Q(**{f"{field}{_LOOKUPS[operator]}": value})


def _at_day(field: str, operator: str, day: datetime, next_day: datetime, name: str) -> Q:
    """Compare with a whole day, so that `=` means within it and `>` after it."""
    match operator:
        case "=":
            return Q(**{f"{field}__gte": day, f"{field}__lt": next_day})
        case "!=":
            return ~Q(**{f"{field}__gte": day, f"{field}__lt": next_day})
        case ">" | ">=":
            return Q(**{f"{field}__gte": next_day if operator == ">" else day})
        case "<" | "<=":
            return Q(**{f"{field}__lt": next_day if operator == "<=" else day})
        case _:
            raise ValueRefused(f"{name} needs =, !=, <, <=, > or >=, not {operator},", concerns_operator=True)


def _number(name: str, value: str) -> float:
    digits = value.removesuffix("%")
    if not _NUMBER.fullmatch(digits):
        raise ValueRefused(f"{name} is compared with a number, not {value[:80]!r},")
    return float(digits) / (100 if value.endswith("%") else 1)


def _day(name: str, value: str) -> tuple[datetime, datetime]:
    """Return the start of the day and of the next one, which the last day of the calendar does not have."""
    try:
        day = datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=UTC)
        return day, day + timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueRefused(
            f"{name} is compared with a date such as 2026-01-31, not {value[:80]!r},"
        ) from None


def _tag(value: str) -> Q:
    try:
        tag = normalize_tag(value)
    except ValueError as error:
        raise ValueRefused(f"{str(error)[:1].upper()}{str(error)[1:]},") from error
    links = Operation.tags.through._base_manager.filter(tag_id=tag)
    return Q(pk__in=links.order_by().values("operation_id"))


def _type(value: str) -> Q:
    kind = find_kind(value.lower())
    return Q(operation_type=kind.operation_type if kind else value)


def _status(value: str) -> Q:
    if value.upper() not in set(Status):
        raise ValueRefused(f"Unknown status {value[:80]!r}")
    return Q(status=value.upper())


def _parameter(one: str, several: str) -> Callable[[str], Q]:
    def select(value: str) -> Q:
        return Q(parameters__contains={one: value}) | Q(parameters__contains={several: [value]})

    return select


def _strategy(lookup: str) -> Callable[[str], Q]:
    def select(value: str) -> Q:
        """Also select the backtests of its models, which contain no strategy text."""
        named = Operation.objects.filter(**{f"strategy_name__{lookup}": value}, strategy__isnull=False)
        return Q(strategy__in=named.order_by().values("strategy"))

    return select


def _user(value: str) -> Q:
    return Q(created_by__in=User.objects.filter(username=value).values("pk"))


_EQUAL: dict[str, Callable[[str], Q]] = {
    "tag": _tag,
    "type": _type,
    "status": _status,
    "symbol": _parameter("symbol", "symbols"),
    "timeframe": _parameter("timeframe", "timeframes"),
    "strategy": _strategy("iexact"),
    "title": lambda value: Q(title=value),
    "user": _user,
}
_CONTAINED: dict[str, Callable[[str], Q]] = {
    "title": lambda value: Q(title__icontains=value),
    "strategy": _strategy("icontains"),
    "symbol": lambda value: Q(symbols__icontains=value),
}
_TIMES = {"created": "created_at", "ended": "completed_at"}
NAMES = (
    *(metric.alias or metric.name for metric in METRICS.values()),
    *(metric.name for metric in METRICS.values() if metric.alias),
    *_EQUAL,
    *_TIMES,
)
"""All names, those for people first."""
