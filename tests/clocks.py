"""The waits of the product, shortened for the tests and stretched on a loaded machine."""

from tests.calibration import sample

SETTINGS_S = {
    "KTRDR_HEALTH_INTERVAL_S": 1.0,
    "KTRDR_HEALTH_TIMEOUT_S": 1.0,
    "KTRDR_LOST_AFTER_S": 2.0,
    "KTRDR_CANCEL_GRACE_S": 2.0,
    "KTRDR_SHUTDOWN_GRACE_S": 4.0,
}
"""About ten times shorter than by default, except the last one. A worker that is merely slow must not miss them."""
BORNE = 3.0
"""They suit a machine that is so many times slower than an idle one: two systems of the tests load it as much."""


def clock_factor() -> int:
    """Return the factor of the waits for a system that starts now: 1 unless the machine is loaded.

    A load must show in two samples, since one may meet a short peak.
    """
    factor = _factor(sample())
    return factor if factor == 1 else min(factor, _factor(sample()))


def _factor(slowness: float) -> int:
    return max(1, round(slowness / BORNE))


def product_settings(factor: float, **seconds: float) -> dict[str, str]:
    """Return environment variables for every process of a system; `seconds` replaces and adds settings."""
    stretched = {name: str(factor * value) for name, value in {**SETTINGS_S, **seconds}.items()}
    return {**stretched, "KTRDR_HEALTH_FAILURES": "2", "KTRDR_RETRY_BACKOFF_S": "0.2"}
