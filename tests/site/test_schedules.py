"""The leader of the schedules judges its task cluster only by the newest sweep."""

from ktrdr_site.schedules import MAX_DOUBLINGS, Leader, patience_s


def test_a_cluster_that_swept_and_stopped_is_dead_after_the_patience() -> None:
    leader = Leader()
    assert not leader._is_dead(running_s=1000, age_s=patience_s() - 1)
    assert leader._is_dead(running_s=1000, age_s=patience_s() + 1)


def test_a_cluster_that_has_not_swept_yet_gets_time_to_start() -> None:
    for age_s in (None, 1000):
        assert not Leader()._is_dead(running_s=patience_s() - 1, age_s=age_s)
        assert Leader()._is_dead(running_s=patience_s() + 1, age_s=age_s)


def test_each_restart_without_a_sweep_doubles_the_time_to_start_up_to_a_limit() -> None:
    for restarts, times in ((1, 2), (2, 4), (MAX_DOUBLINGS, 2**MAX_DOUBLINGS), (100, 2**MAX_DOUBLINGS)):
        leader = Leader(fruitless_restarts=restarts)
        assert not leader._is_dead(running_s=times * patience_s() - 1, age_s=None)
        assert leader._is_dead(running_s=times * patience_s() + 1, age_s=None)


def test_a_sweep_resets_the_time_to_start() -> None:
    leader = Leader(fruitless_restarts=3)
    assert not leader._is_dead(running_s=50, age_s=2)
    assert leader._is_dead(running_s=1000, age_s=patience_s() + 1)
