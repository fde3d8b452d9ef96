"""Any content that a job reports through a real agent to a real backend ends its own operation and harms nothing else."""

import json
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.faults.api import FINAL
from tests.faults.system import System

TEXT = st.text(st.characters(exclude_categories=[]), max_size=12) | st.sampled_from(
    ["", "\x00", "\udc80.csv", "../up", "\x1b[2J", "x" * 10_000, "\u202e"]
)
NUMBER = st.integers() | st.floats() | st.sampled_from([-(2**63) - 1, 2**63, 10**400])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def call(function: str, /, **values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, dict[str, Any]]]:
    return st.tuples(st.just(function), st.fixed_dictionaries(values))


CALLS = st.one_of(
    call("progress", percentage=NUMBER, step=TEXT, completed=NUMBER, total=NUMBER),
    call("metric", name=TEXT, step=NUMBER, value=NUMBER),
    call("log", line=TEXT, level=TEXT),
    call("artifact", name=TEXT),
    call("checkpoint", step=NUMBER, name=TEXT),
)
ENDS = st.one_of(
    st.fixed_dictionaries({"result": st.dictionaries(TEXT, JSON, max_size=4)}),
    st.fixed_dictionaries({"result": JSON | st.just([[[]]] * 3)}),
    st.fixed_dictionaries({"error": TEXT}),
)
JOBS = st.lists(st.tuples(st.lists(CALLS, max_size=8), ENDS), min_size=10, max_size=10)


@settings(
    max_examples=2,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(jobs=JOBS)
def test_whatever_jobs_report_their_operations_end_and_those_of_others_complete(
    system: System, jobs: list[tuple[list[Any], dict[str, Any]]]
) -> None:
    plans = [json.dumps({"calls": calls, **end}) for calls, end in jobs]
    generated = [system.api.submit(seconds=0, emit=plan) for plan in plans]
    others = [system.api.submit(seconds=0.05) for _ in range(2)]
    for operation_id in generated:
        ended = system.api.until_status(operation_id, *FINAL)
        assert ended["attempt"] == 1, system.api.story(operation_id)
        assert ended["error"] is None or ended["error"]["class"] == "job"
        for part in ("", "/logs", "/metrics", "/events", "/artifacts"):
            assert system.api.get(f"/operations/{operation_id}{part}") is not None, part
        system.api.submitted[operation_id] = ended["status"]
    for operation_id in others:
        system.api.until_status(operation_id, "COMPLETED")
    for agent in system.expected:
        system.until_available(agent)
