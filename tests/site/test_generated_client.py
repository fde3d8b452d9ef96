"""A client generated from the OpenAPI document works without patches."""

import importlib
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest
from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIHandler
from openapi_python_client import Config, MetaType, generate
from openapi_python_client.config import ConfigFile

from ktrdr_site.models import ApiToken
from operations.example_requests import STRATEGY
from tests.browser.population import populate
from tests.factories import CapabilityFactory

pytestmark = pytest.mark.django_db
DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.yaml"
PACKAGE = "generated_ktrdr"
BARS = b"Date,Open,High,Low,Close,Volume\n2024-01-02,1,2,0.5,1.5,10\n"


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated package; everything of the document must become code."""
    directory = tmp_path_factory.mktemp("generated")
    settings = ConfigFile(project_name_override=PACKAGE, package_name_override=PACKAGE, post_hooks=[])
    config = Config.from_sources(
        settings, MetaType.NONE, DOCUMENT, "utf-8", overwrite=True, output_path=directory / PACKAGE
    )
    problems = [error.detail or error.header for error in generate(config=config)]
    assert problems == []
    sys.path.insert(0, str(directory))
    yield importlib.import_module(PACKAGE)
    sys.path.remove(str(directory))


class Generated:
    """The calls and models of the generated package, with a client that runs the site in this process."""

    def __init__(self, package: ModuleType, token: str) -> None:
        self.client = package.AuthenticatedClient(base_url="http://testserver", token=token)
        http = httpx.Client(
            base_url="http://testserver",
            headers={"Authorization": f"Bearer {token}"},
            transport=httpx.WSGITransport(app=WSGIHandler()),
        )
        self.client.set_httpx_client(http)

    def call(self, name: str, *arguments: Any, **values: Any) -> Any:
        module = importlib.import_module(f"{PACKAGE}.api.{name}")
        return module.sync(*arguments, client=self.client, **values)

    def model(self, name: str) -> Any:
        return getattr(importlib.import_module(f"{PACKAGE}.models"), name)


@pytest.fixture
def ids() -> dict[str, str]:
    return populate(User.objects.create_user("generated", is_staff=True))


@pytest.fixture
def generated(package: ModuleType, ids: dict[str, str], open_connection: None) -> Generated:
    return Generated(package, ApiToken.issue(User.objects.get(username="generated"), "test"))


def test_it_imports_a_file(generated: Generated) -> None:
    form = generated.model("MarketDataCreateBody")(
        symbol="NEW",
        timeframe=generated.model("MarketDataCreateBodyTimeframe")("1d"),
        file=importlib.import_module(f"{PACKAGE}.types").File(payload=BytesIO(BARS), file_name="new.csv"),
    )
    submitted = generated.call("market_data.market_data_create", body=form, idempotency_key="one")
    operation = generated.call("operations.operations_retrieve", submitted.operation_id)
    assert operation.operation_type == "data_import"
    assert (operation.parameters.symbol, operation.parameters.filename) == ("NEW", "new.csv")


def test_it_submits_a_training_and_a_backtest_that_uses_it(generated: Generated) -> None:
    training = generated.call(
        "training.training_start_create",
        body=generated.model("TrainingRequest")(strategy_yaml=STRATEGY, symbols=["AAPL"]),
    )
    backtest = generated.call(
        "backtests.backtests_start_create",
        body=generated.model("BacktestRequest")(
            symbol="AAPL", model=training.operation_id, after=[training.operation_id]
        ),
    )
    operation = generated.call("operations.operations_retrieve", backtest.operation_id)
    assert operation.parameters.model == training.operation_id
    assert operation.after == [training.operation_id]


def test_it_submits_an_operation_of_an_announced_type(generated: Generated) -> None:
    CapabilityFactory()
    request = generated.model("GenericRequest")(operation_type="echo")
    submitted = generated.call("operations.operations_create", body=request)
    assert submitted.status == "PENDING"
    assert generated.call("operation_types.operation_types_retrieve", "echo").submit_path == "/operations"


def test_it_reads_typed_results_artifacts_and_pages(generated: Generated, ids: dict[str, str]) -> None:
    backtest = generated.call("operations.operations_retrieve", ids["backtested"])
    assert isinstance(backtest.result, generated.model("BacktestResult"))
    assert backtest.result.metrics.sharpe == 0.41
    training = generated.call("operations.operations_retrieve", ids["trained"])
    assert isinstance(training.result, generated.model("TrainingResult"))
    listed = generated.call("operations.operations_artifacts_list", ids["backtested"])
    assert {"report.json", "trades.csv"} <= {artifact.name for artifact in listed.results}
    file = generated.call("operations.operations_artifacts_retrieve", ids["backtested"], "trades.csv")
    assert file.payload.read().startswith(b"entry_index")
    page = generated.call("operations.operations_list", fields="status,subject", limit=2)
    assert len(page.results) == 2
    assert isinstance(page.results[0], generated.model("PartialOperation"))


def test_it_reads_a_problem(generated: Generated) -> None:
    problem = generated.call(
        "backtests.backtests_start_create", body=generated.model("BacktestRequest")(symbol="NONE")
    )
    assert isinstance(problem, generated.model("Problem"))
    assert (problem.status, problem.errors[0].pointer) == (422, "/model")
