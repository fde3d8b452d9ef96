"""The nominal number of sessions a year of each calendar."""

from collections.abc import Mapping

from workers.market_data.sessions import ALWAYS_OPEN, FOREX

FIRST_YEAR, LAST_YEAR = 2006, 2025
"""The years whose mean the numbers of the exchanges are (only from 2017 or 2021 on where `exchange_calendars` has no more)."""

SESSIONS_PER_YEAR: Mapping[str, int] = {
    ALWAYS_OPEN: 365,
    FOREX: 260,
    "AIXK": 245, "ASEX": 248, "BVMF": 248, "CMES": 258, "IEPA": 258, "XAMS": 256, "XASX": 253, "XBDA": 251,
    "XBEL": 252, "XBKK": 244, "XBOG": 244, "XBOM": 246, "XBRA": 249, "XBRU": 256, "XBSE": 251, "XBUD": 249,
    "XBUE": 246, "XCBF": 252, "XCSE": 250, "XCYS": 247, "XDUB": 254, "XDUS": 254, "XEEE": 255, "XETR": 254,
    "XEUR": 255, "XFRA": 254, "XHAM": 254, "XHEL": 251, "XHKG": 246, "XICE": 249, "XIDX": 243, "XIST": 251,
    "XJSE": 250, "XKAR": 247, "XKLS": 246, "XKRX": 247, "XLIM": 251, "XLIS": 256, "XLIT": 249, "XLJU": 249,
    "XLON": 253, "XLUX": 256, "XMAD": 255, "XMEX": 252, "XMIL": 254, "XMOS": 251, "XNYS": 252, "XNZE": 251,
    "XOSL": 251, "XPAR": 256, "XPHS": 244, "XPRA": 251, "XRIS": 251, "XSAU": 249, "XSES": 251, "XSGO": 249,
    "XSHG": 243, "XSTO": 251, "XSTU": 255, "XSWX": 251, "XTAE": 246, "XTAI": 245, "XTAL": 252, "XTKS": 245,
    "XTSE": 251, "XWAR": 250, "XWBO": 250, "XZAG": 248, "us_futures": 258,
}  # fmt: skip
"""By calendar name; the mean of these years, rounded. `weekdays` is missing: it is used where no calendar fits."""
