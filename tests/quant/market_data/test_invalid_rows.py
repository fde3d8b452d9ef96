"""Files with rows that no market can have produced are rejected with the line numbers."""

import numpy as np
import pandas as pd
import pytest

from tests.quant.market_data.conftest import Import, yahoo
from workers.market_data.errors import MarketDataError

HEAD = "Date,Open,High,Low,Close,Volume\n"
GOOD = ["2010-03-01,10,11,9,10,5", "2010-03-02,10,11,9,10,5", "2010-03-03,10,11,9,10,5", "2010-03-04,10,11,9,10,5"]  # fmt: skip


def replace_row(line: int, row: str) -> str:
    """Return the good rows with the one on this line of the file replaced."""
    rows = [*GOOD]
    rows[line - 2] = row
    return HEAD + "\n".join(rows)


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ("2010-03-01,10,11,9,10,5", r"time earlier than the previous row at line 4 \(2010-03-01"),
        ("2010-03-02,10,11,9,10,5", r"duplicate time at line 4 \(2010-03-02 00:00:00\)"),
        ("2010-02-01,10,11,9,10,5", r"time earlier than the previous row at line 4"),
        ("2010-03-03,10,11,9,x,5", r"close is missing or not a number at line 4 \(x\)"),
        ("2010-03-03,10,11,9,,5", r"close is missing or not a number at line 4"),
        ("2010-03-03,null,null,null,null,null", r"open is missing or not a number at line 4 \(null\)"),
        ("2010-03-03,10,11,9,inf,5", r"close is missing or not a number at line 4"),
        ("2010-03-03,10,11,0,10,5", r"low is zero or negative at line 4"),
        ("2010-03-03,-10,11,-11,10,5", r"open is zero or negative at line 4 \(-10"),
        ("2010-03-03,10,9,11,10,5", r"high is below low at line 4"),
        ("2010-03-03,10,10.5,9,11,5", r"high is below open or close at line 4"),
        ("2010-03-03,10,11,9.8,9.5,5", r"low is above open or close at line 4"),
        ("2010-03-03,10,11,9,10,-1", r"volume is negative at line 4"),
        ("yesterday,10,11,9,10,5", r"unreadable time at line 4 \(yesterday\)"),
        ("2010-03-03,10", r"line 4 is incomplete: it has 2 cells, and the rows above have 6"),
    ],
)
def test_a_file_with_an_invalid_row_is_rejected_with_its_line(
    import_file: Import, row: str, sentence: str
) -> None:
    """Lesson Q24: no row is silently dropped, unsorted and duplicate times are rejected."""
    with pytest.raises(MarketDataError, match=sentence):
        import_file(replace_row(4, row))


def test_blank_lines_do_not_shift_the_reported_line(import_file: Import) -> None:
    with pytest.raises(MarketDataError, match=r"line 5 "):
        import_file(HEAD + GOOD[0] + "\n\n" + GOOD[1] + "\n2010-03-03,1,1,1,abc,5\n")


def test_invalid_rows_after_the_first_three_are_only_counted(import_file: Import) -> None:
    rows = [f"2010-03-{day:02d},0,11,0,10,5" for day in range(1, 13)]
    with pytest.raises(MarketDataError, match=r"line 4 \(0.0\) and 9 more"):
        import_file(HEAD + "\n".join(rows))


def test_rows_from_newest_to_oldest_are_reversed_and_noted(import_file: Import) -> None:
    imported = import_file(HEAD + "\n".join(reversed(GOOD)))
    assert imported.content == import_file(HEAD + "\n".join(GOOD)).content
    assert any("newest first" in note for note in imported.quality["notes"])


def test_an_invalid_row_of_a_reversed_file_has_its_line(import_file: Import) -> None:
    rows = [*reversed(GOOD)]
    rows[1] = "2010-03-03,10,11,9,x,5"
    with pytest.raises(MarketDataError, match=r"close is missing or not a number at line 3 \(x\)"):
        import_file(HEAD + "\n".join(rows))
    rows[1] = "2010-03-03,10,9,11,10,5"
    with pytest.raises(MarketDataError, match="high is below low at line 3"):
        import_file(HEAD + "\n".join(rows))


def test_bars_of_another_timeframe_are_rejected(import_file: Import) -> None:
    with pytest.raises(MarketDataError, match="not 1h bars: most bars are 1 days 00:00:00 apart"):
        import_file(HEAD + "\n".join(GOOD), "1h")
    minutes = pd.date_range("2010-03-01 10:00", periods=30, freq="1min")
    text = "\n".join(f"{time:%Y-%m-%d %H:%M:%S},10,11,9,10,5" for time in minutes)
    with pytest.raises(MarketDataError, match="not 1h bars"):
        import_file(HEAD + text, "1h")


def test_one_bar_and_constant_prices_are_valid(import_file: Import) -> None:
    assert import_file(HEAD + GOOD[0]).result["rows"] == 1
    imported = import_file(yahoo(pd.bdate_range("2010-03-01", periods=50), np.full(50, 10.0)))
    assert imported.result["quality"]["spikes"] == 0


def test_the_order_of_day_and_month_is_not_guessed(import_file: Import) -> None:
    rows = "01/02/2010,1,1,1,1,1\n01/03/2010,1,1,1,1,1\n"
    with pytest.raises(MarketDataError, match="day or month first"):
        import_file(HEAD + rows)
    bars = import_file(HEAD + "01/12/2010,1,1,1,1,1\n01/13/2010,1,1,1,1,1\n").bars
    assert bars.index[1] == pd.Timestamp("2010-01-13", tz="UTC")


def hourly(times: list[str]) -> str:
    return HEAD + "\n".join(f"{time},10,11,9,10,5" for time in times)


def test_local_times_follow_daylight_saving(import_file: Import) -> None:
    """Lesson Q17: times are stored in UTC; the time zone of the file is explicit."""
    text = hourly(["2010-03-12 15:00", "2010-03-12 16:00", "2010-03-15 15:00", "2010-03-15 16:00"])
    bars = import_file(text, "1h", timezone="America/New_York").bars
    assert [time.hour for time in bars.index] == [20, 21, 19, 20]


def test_the_repeated_hour_in_autumn_is_resolved_by_the_order_of_the_rows(import_file: Import) -> None:
    text = hourly([f"2010-11-07 0{hour}:00" for hour in (0, 1, 1, 2)])
    bars = import_file(text, "1h", timezone="America/New_York").bars
    assert [time.hour for time in bars.index] == [4, 5, 6, 7]


def test_a_local_time_that_does_not_exist_is_rejected(import_file: Import) -> None:
    text = hourly([f"2010-03-14 0{hour}:00" for hour in (1, 2, 3)])
    with pytest.raises(MarketDataError, match="does not exist in America/New_York at line 3"):
        import_file(text, "1h", timezone="America/New_York")


def test_offsets_in_the_file_override_the_chosen_time_zone(import_file: Import) -> None:
    text = hourly(["2024-01-02 09:30:00-05:00", "2024-01-02 10:30:00-05:00"])
    bars = import_file(text, "1h", timezone="Europe/Berlin").bars
    assert bars.index[0] == pd.Timestamp("2024-01-02 14:30", tz="UTC")


def test_unix_seconds_and_milliseconds_are_times(import_file: Import) -> None:
    seconds = hourly(["1704200400", "1704204000"])
    milliseconds = hourly(["1704200400000", "1704204000000"])
    assert import_file(seconds, "1h").content == import_file(milliseconds, "1h").content
