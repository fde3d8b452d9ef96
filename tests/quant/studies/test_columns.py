"""The cache of indicators: each is computed once, within a limit of memory, and checked now and then."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.studies.columns import CHECK_EVERY, ColumnCache, ColumnsDiffer


@given(keys=st.lists(st.integers(0, 9), max_size=80), limit=st.integers(1, 12))
@settings(max_examples=50, deadline=None)
def test_the_cache_returns_what_is_computed_and_keeps_the_latest_within_its_limit(
    keys: list[int], limit: int
) -> None:
    cache = ColumnCache(limit * 80)
    computed: list[int] = []
    recent: list[int] = []
    for key in keys:

        def compute(key: int = key) -> dict[str, np.ndarray]:
            computed.append(key)
            return {"value": np.full(10, float(key))}

        before = len(computed)
        assert (cache.outputs(key, compute)["value"] == key).all()
        assert (len(computed) == before) == (key in recent)
        recent = [*(other for other in recent if other != key), key][-limit:]
        assert cache.bytes <= cache.limit_bytes
    assert cache.misses == len(computed)


def test_a_column_that_differs_when_it_is_computed_again_is_an_error() -> None:
    cache = ColumnCache(1000)
    values = iter(np.arange(1000.0))

    def compute() -> dict[str, np.ndarray]:
        return {"value": np.full(2, next(values))}

    for _ in range(CHECK_EVERY):
        cache.outputs("rsi", compute)
    with pytest.raises(ColumnsDiffer, match="other values"):
        cache.outputs("rsi", compute)
    assert cache.hits == CHECK_EVERY


def test_a_kept_column_cannot_be_changed() -> None:
    outputs = ColumnCache(1000).outputs("rsi", lambda: {"value": np.zeros(3)})
    with pytest.raises(ValueError, match="read-only"):
        outputs["value"][0] = 1.0
