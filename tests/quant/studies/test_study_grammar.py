"""Every mistake in a study file is rejected with its position and a remedy."""

from pathlib import Path

import pytest

from tests.quant.strategy.conftest import strategy_text
from workers.strategy.grammar import parse_strategy
from workers.studies.binding import BoundStudy, bind
from workers.studies.grammar import StudyError, parse_study
from workers.studies.pointers import replace_values

STUDY = """\
study: "1.0"
name: search
data: {symbols: [XY], until: 2009-12-31}
holdout: {from: 2009-01-01}
search:
  method: halton
  trials: 200
  parameters:
    /indicators/rsi_14/period: {range: [5, 50], step: 5}
    /training/labels/horizon: {range: [1, 10]}
    /backtest/stop_loss: {choices: [null, 0.05]}
  where: ["/training/labels/horizon < /indicators/rsi_14/period"]
objective: {over: folds}
validation: {scheme: walk_forward, train: 1000, test: 125}
stop_early: {rungs: [5, 15]}
budget: {parallel: 8}
"""


def bound(study: str = STUDY, strategy: str = "") -> BoundStudy:
    return bind(parse_study(study), strategy or strategy_text())


def test_a_complete_study_is_bound_to_its_strategy() -> None:
    study = bound()
    assert (study.kind, study.trials, study.warnings) == ("training", 200, ())
    point = study.space.point(3)
    strategy = study.strategy_of(point)
    assert dict(strategy.indicators["rsi_14"].parameters)["period"] == point["/indicators/rsi_14/period"]
    assert strategy.training.labels.model_dump()["horizon"] == point["/training/labels/horizon"]
    assert study.settings_of(point).stop_loss == point["/backtest/stop_loss"]


MANY = "\n".join(f"    /nn_inputs/{i}: {{range: [1, 2]}}" for i in range(31))
GRID = "method: grid\n  parameters:\n" + "\n".join(
    f"    /{at}: {{range: [1, 200]}}"
    for at in ("indicators/rsi_14/period", "training/epochs", "training/batch_size")
)
REJECTED = {
    "unknown key": ("trials: 200", "trails: 200", 7, "unknown key 'trails'; did you mean trials?"),
    "no trials": (
        "  trials: 200\n",
        "",
        5,
        "trials is missing here; method: halton needs the number of trials",
    ),
    "too many tpe trials": (
        "halton\n  trials: 200",
        "tpe\n  trials: 10001",
        7,
        "tpe is limited to 10,000 trials, not 10,001; use method: halton, trials: 20000",
    ),
    "too many trials": ("trials: 200", "trials: 1000001", 7, "limited to 1,000,000 trials, not 1,000,001"),
    "too many parameters": (
        "    /indicators/rsi_14/period: {range: [5, 50], step: 5}",
        MANY,
        8,
        "33 parameters are searched; the limit is 30",
    ),
    "parallel": ("parallel: 8", "parallel: 1001", 16, "parallel must be at most 1,000, not 1,001"),
    "missing pointer": (
        "rsi_14/period: {",
        "rsi_14/perid: {",
        9,
        "'/indicators/rsi_14/perid' is not in the strategy; did you mean /indicators/rsi_14/period?",
    ),
    "fixed pointer": (
        "/indicators/rsi_14/period: {range: [5, 50], step: 5}",
        "/name: {choices: [a]}",
        9,
        "/name does not",
    ),
    "searched data": (
        "/indicators/rsi_14/period: {range: [5, 50], step: 5}",
        "/training_data/history_required: {choices: [1]}",
        9,
        "all trials of a study use the same data",
    ),
    "corner": (
        "[1, 10]",
        "[0, 10]",
        10,
        "the grammar refuses the point /indicators/rsi_14/period = 5, /training/labels/horizon = 0",
    ),
    "setting": ("0.05]", "-1]", 11, "must be greater than 0, not -1"),
    "training objective": ("over: folds", "over: training", 13, "this is not a test"),
    "folds without validation": (
        "validation: {scheme: walk_forward, train: 1000, test: 125}\n",
        "",
        13,
        "folds needs",
    ),
    "holdout inside": ("from: 2009-01-01", "from: 2008-01-01, until: 2008-12-31", 4, "this is not a test"),
    "empty holdout": ("from: 2009-01-01", "from: 2010-01-01", 4, "the data end at 2009-12-31"),
    "nothing left": ("horizon < /", "horizon > 100 + /", 12, "where excludes every point"),
    "unknown in where": ("horizon < /", "horizn < /", 12, "did you mean /training/labels/horizon?"),
    "no comparison": ("horizon < /", "horizon < 'a' + /", 12, "cannot compare"),
    "python in where": ("horizon < /", "horizon < __import__ /", 12, "'_' is not valid in"),
    "falling range": ("[5, 50]", "[50, 5]", 9, "the range must rise: 50 is not below 5"),
    "log from zero": ("[5, 50], step: 5", "[0, 50], scale: log", 9, "must start above 0"),
    "no number": ("[5, 50]", "[five, 50]", 9, "must be a number, not 'five'"),
    "both": ("{range: [1, 10]}", "{range: [1, 10], choices: [1]}", 10, "write either range"),
    "kind": ("name: search", "name: search\nkind: rules", 3, "make this a study of kind training, not rules"),
    "rungs": ("[5, 15]", "[15, 5]", 15, "rungs must be rising"),
}


@pytest.mark.parametrize(("old", "new", "line", "message"), REJECTED.values(), ids=REJECTED)
def test_a_mistake_is_rejected_with_its_line(old: str, new: str, line: int, message: str) -> None:
    assert old in STUDY
    with pytest.raises(StudyError) as raised:
        bound(STUDY.replace(old, new))
    problem = raised.value.errors[0]
    assert message in problem.message
    assert problem.line == line
    assert len(problem.message) < 300


def test_the_example_searches_a_strategy_without_training() -> None:
    examples = Path(__file__).parents[3] / "examples"
    study = bound(
        (examples / "studies" / "moving_average_search.yaml").read_text(),
        (examples / "strategies" / "moving_average_cross.yaml").read_text(),
    )
    assert (study.kind, study.trials, study.warnings) == ("rules", 180, ())
    assert all(study.space.allows(study.space.point(number)) for number in range(study.trials))


def test_a_grid_above_a_million_points_names_a_remedy() -> None:
    start, end = STUDY.index("method:"), STUDY.index("objective:")
    strategy = strategy_text(lambda data: data["training"].update(epochs=5, batch_size=32))
    with pytest.raises(StudyError, match=r"the grid has 8,000,000 points.*use method: halton, trials: 2000"):
        bound(STUDY[:start] + GRID + "\n" + STUDY[end:], strategy)


def test_a_file_above_200_kb_is_refused_before_it_is_read() -> None:
    with pytest.raises(StudyError, match=r"the file has 200,[0-9]{3} characters; the limit is 200,000"):
        parse_study(STUDY + "#" * 200_000)


def test_a_condition_that_leaves_little_is_reported_with_the_share() -> None:
    (warning,) = bound(STUDY.replace("horizon < /", "horizon > 2 + /")).warnings
    assert warning.line == 12
    assert "% of the points" in warning.message


def test_a_strategy_with_other_values_is_that_of_a_file_with_these_values() -> None:
    study = bound()
    point = study.space.point(0)
    by_hand = parse_strategy(
        strategy_text(
            lambda data: (
                data["indicators"]["rsi_14"].update(period=point["/indicators/rsi_14/period"]),
                data["training"]["labels"].update(horizon=point["/training/labels/horizon"]),
            )
        )
    )
    assert study.strategy_of(point).model_dump() == by_hand.model_dump()
    assert study.strategy.model_dump() == parse_strategy(strategy_text()).model_dump(), (
        "the study's own strategy stays unchanged"
    )


def test_only_the_value_at_the_pointer_is_replaced() -> None:
    values = {"a": ({"b~/c": 1}, 2), "d": 3}
    assert replace_values(values, {"/a/0/b~0~1c": [4]}) == {"a": ({"b~/c": (4,)}, 2), "d": 3}
    assert values["a"] == ({"b~/c": 1}, 2)
