"""Decimal and thousands marks are decided by all numbers of a file, or refused with the option `decimal`."""

import pytest

from tests.quant.market_data.conftest import Import
from workers.market_data.errors import MarketDataError

HEADER = ["Date", "Open", "High", "Low", "Close", "Volume"]


def table(delimiter: str, dates: list[str], prices: list[tuple[str, ...]], volume: str = "1224") -> str:
    quoted = [[f'"{cell}"' if delimiter in cell else cell for cell in row] for row in prices]
    rows = [delimiter.join([date, *row, volume]) for date, row in zip(dates, quoted, strict=True)]
    return "\n".join([delimiter.join(HEADER), *rows]) + "\n"


GERMAN = ["20.02.2024", "21.02.2024", "22.02.2024"]
ISO = ["2024-02-20", "2024-02-21", "2024-02-22"]
US = ["02/20/2024", "02/21/2024", "02/22/2024"]


@pytest.mark.parametrize(
    ("delimiter", "dates", "texts", "expected"),
    [
        (";", GERMAN, ("61.234", "62.773", "61.198", "62.328"), (61234, 62773, 61198, 62328)),
        (";", GERMAN, ("1.234.567", "1.300.000", "1.200.000", "1.250.000"), (1234567, 1300000, 1200000, 1250000)),
        (";", GERMAN, ("61.234,50", "62.773,00", "61.198,25", "62.328,75"), (61234.5, 62773, 61198.25, 62328.75)),
        (";", GERMAN, ("187,30", "187,51", "186,44", "187,3"), (187.3, 187.51, 186.44, 187.3)),
        (";", GERMAN, ("187.30", "187.51", "186.44", "187.3"), (187.3, 187.51, 186.44, 187.3)),
        (";", ISO, ("187,3", "187,51", "186,44", "187,3"), (187.3, 187.51, 186.44, 187.3)),
        (",", ISO, ("150.123", "150.345", "150.001", "150.200"), (150.123, 150.345, 150.001, 150.2)),
        (",", US, ("61,234.50", "62,773.00", "61,198.25", "62,328.75"), (61234.5, 62773, 61198.25, 62328.75)),
        (",", US, ("61,234", "62,773", "61,198", "62,328"), (61234, 62773, 61198, 62328)),
        (",", US, ("$1,234", "$1,300", "$999", "$1,250"), (1234, 1300, 999, 1250)),
        (",", ISO, ("0.123", "0.345", "0.101", "0.200"), (0.123, 0.345, 0.101, 0.2)),
        ("\t", ISO, ("61'234.5", "62'773.0", "61'198.0", "62'328.0"), (61234.5, 62773, 61198, 62328)),
        (";", GERMAN, ("61 234,5", "62 773,0", "61 198,0", "62 328,0"), (61234.5, 62773, 61198, 62328)),
        (";", GERMAN, ("187,30 €", "187,51 €", "186,44 €", "187,30 €"), (187.3, 187.51, 186.44, 187.3)),
        (",", ISO, ("1e2", "1.1e2", "9.0e1", "1.0E+02"), (100, 110, 90, 100)),
    ],
)  # fmt: skip
def test_numbers_are_read_as_their_file_writes_them(
    import_file: Import, delimiter: str, dates: list[str], texts: tuple[str, ...], expected: tuple[float, ...]
) -> None:
    grouped = "100.200" if delimiter == ";" and all(text.count(".") for text in texts) and texts[0].count(",") == 0 and len(texts[0].split(".")[1]) == 3 else "1224"  # fmt: skip
    imported = import_file(table(delimiter, dates, [texts] * 3, grouped))
    bars = imported.bars
    assert tuple(bars[["open", "high", "low", "close"]].iloc[1]) == expected
    assert bars["volume"].iloc[0] == (100200.0 if grouped == "100.200" else 1224.0)


@pytest.mark.parametrize(
    ("delimiter", "dates", "texts", "volume"),
    [
        (";", GERMAN, ("61.234", "62.773", "61.198", "62.328"), "1224"),
        (";", ISO, ("61.234", "62.773", "61.198", "62.328"), "100.200"),
        ("\t", GERMAN, ("61.234", "62.773", "61.198", "62.328"), "100.200"),
        (";", GERMAN, ("61,234", "62,773", "61,198", "62,328"), "1224"),
    ],
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_three_digits_that_may_be_decimals_are_refused_unless_decimal_is_set(
    import_file: Import, delimiter: str, dates: list[str], texts: tuple[str, ...], volume: str, decimal: str
) -> None:
    content = table(delimiter, dates, [texts] * 3, volume)
    with pytest.raises(MarketDataError, match="set decimal to the decimal mark") as refusal:
        import_file(content)
    assert len(str(refusal.value)) < 300
    bars = import_file(content, decimal=decimal).bars
    plain = float(texts[0].replace(",", "."))
    assert bars["open"].iloc[0] == (plain if decimal in texts[0] else plain * 1000)


@pytest.mark.parametrize(
    ("text", "value"), [("1.23M", 1_230_000.0), ("45.6K", 45_600.0), ("1.2B", 1.2e9), ("12", 12.0)]
)
def test_volumes_may_have_a_suffix(import_file: Import, text: str, value: float) -> None:
    bars = import_file(table(",", ISO, [("10", "11", "9", "10")] * 3, text)).bars
    assert bars["volume"].iloc[0] == pytest.approx(value)


@pytest.mark.parametrize("empty", ["", "-", "nan", "null", "N/A"])
def test_a_volume_that_no_row_has_is_zero(import_file: Import, empty: str) -> None:
    imported = import_file(table(",", ISO, [("10", "11", "9", "10")] * 3, empty))
    assert imported.result["quality"]["has_volume"] is False


@pytest.mark.parametrize("bad", ["x", "", "1.2.3", "--5", "nan", "inf", "12,5,5", "1 2 3x"])
@pytest.mark.parametrize("decimal", [".", ","])
def test_a_price_that_is_not_a_number_is_rejected_with_its_line(
    import_file: Import, bad: str, decimal: str
) -> None:
    good = tuple(text.replace(".", decimal) for text in ("10.5", "11.5", "9.5", "10.5"))
    content = table(";", ISO, [good, (good[0], good[1], good[2], bad), good])
    with pytest.raises(MarketDataError, match="close is missing or not a number at line 3"):
        import_file(content)
