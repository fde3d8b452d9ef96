"""Rules of an operation's row that the database enforces, and columns that it fills."""

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from operations.models import Operation
from operations.states import FINAL, Status
from tests.factories import OperationFactory

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("has_ended", [False, True])
@pytest.mark.parametrize("status", [*Status, "DONE"])
def test_exactly_the_final_statuses_have_an_end(status: str, has_ended: bool) -> None:
    operation = OperationFactory.create()
    changes = {
        "status": status,
        "completed_at": timezone.now() if has_ended else None,
        "error_class": "job",
    }

    def change() -> None:
        with transaction.atomic():
            Operation.objects.filter(pk=operation.pk).update(**changes)

    if status in set(Status) and (status in FINAL) == has_ended:
        change()
    else:
        with pytest.raises(IntegrityError, match="operation_status_fits_end"):
            change()


@pytest.mark.parametrize(
    ("parameters", "name", "symbols"),
    [
        ({"strategy_yaml": 'version: 1\nname: "my one" # comment\n'}, "my one", ""),
        ({"strategy_yaml": "name: plain", "symbols": ["AAPL", "F"]}, "plain", '["AAPL", "F"]'),
        ({"strategy_yaml": "version: 1"}, None, ""),
        ({"model": "unknown", "symbol": "KO"}, None, "KO"),
        ({"symbol": "KO"}, None, "KO"),
        ({}, None, ""),
    ],
)
def test_strategy_and_symbols_are_stored(parameters: dict[str, Any], name: str | None, symbols: str) -> None:
    operation = OperationFactory.create(parameters=parameters)
    operation.refresh_from_db()
    with connection.cursor() as cursor:
        cursor.execute("SELECT md5(%s::text)", [parameters.get("strategy_yaml")])
        ((digest,),) = cursor.fetchall()
    assert (operation.strategy_name, operation.symbols.strip()) == (name, symbols)
    assert (operation.strategy_digest, operation.strategy) == (digest, digest)
