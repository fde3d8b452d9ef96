"""A result that no study can use fails its batch, and harms no page and no other study."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from operations.models import Operation
from studies.models import Study
from studies.rounds import Leader
from tests.studies import lab
from tests.studies.test_studies import Body, create

pytestmark = [pytest.mark.django_db, pytest.mark.urls("ktrdr_site.urls")]


@pytest.mark.parametrize("time", [1e308, 1e13, -1.0], ids=str)
def test_an_impossible_processor_time_is_refused(
    api: APIClient, body: Body, time: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = create(api, body)["url"]
    leader = Leader()
    leader.tick()
    result_of = lab.result_of

    def impossible(*arguments: Any) -> dict[str, Any]:
        result = result_of(*arguments)
        return {**result, "cpu_ms": [time] * len(result["number"])}

    monkeypatch.setattr(lab, "result_of", impossible)
    claimed = lab.claim()
    assert claimed is not None
    lab.finish(*claimed)
    operation = Operation.objects.get(pk=claimed[0].pk)
    assert operation.status == "FAILED"
    assert "cpu_ms" in operation.error_message
    leader.tick()
    assert Study.objects.get().cpu_ms == 0
    assert api.get(url).json()["status"] == "RUNNING"
    assert api.get("/studies").json()["results"][0]["trials"]["completed"] == 0
