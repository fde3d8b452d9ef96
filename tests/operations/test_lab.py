"""A simulated day of a small lab; `make bench ARGS=lab_day` runs a large one."""

import pytest

from tests.operations.lab import Lab


@pytest.mark.django_db
def test_in_a_day_of_a_lab_nothing_is_lost_or_doubled_and_everybody_gets_a_fair_share() -> None:
    day = Lab(workers=20, users=6, jobs=150).run()
    assert (day.jobs, day.lost, day.doubled) == (150, 0, 0)
    assert day.longest_queue > 20
    assert max(day.ratios) < 2, day.ratios
