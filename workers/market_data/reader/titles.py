"""The meaning of a column by its title."""

import ast
import re

ROLES_OF_TIME = ("opened", "time", "date", "clock", "closed")

_NAMES: dict[str, tuple[str, ...]] = {
    # When the bar opens, in the titles that leave no doubt.
    "opened": (
        "open time", "opentime", "window start", "start time", "bar start", "ts event", "unix", "unix timestamp",
        "unix time", "epoch", "time period start", "starttime", "startedat", "candle begin time",
    ),
    "time": (
        "time", "datetime", "date time", "timestamp", "t", "local time", "gmt time", "utc time", "time utc",
        "timestamp utc", "datetime utc", "utc", "dt", "ts", "index", "time left", "bar time", "date gmt", "date utc",
        "date/time", "date & time", "zeit", "fecha y hora", "open date",
    ),
    "date": (
        "date", "day", "trading day", "trade date", "dtyyyymmdd", "datum", "fecha", "data", "yyyymmdd", "week", "dato",
    ),
    "clock": ("time", "hour", "uhrzeit", "hora", "heure", "hhmmss", "per time"),
    "closed": ("close time", "closetime", "end time", "endtime", "time period end", "bar end", "time close"),
    "open": (
        "open", "o", "open price", "eröffn.", "ouv.", "abertura", "otwarcie", "first", "opening price", "eröffnung", "eröffnungskurs", "erster", "ouverture",
        "apertura", "px open", "openbid", "open bid", "bid open", "bidopen", "price open", "openprice", "mid open",
    ),
    "high": (
        "high", "h", "high price", "max", "hoch", "höchst", "tageshoch", "haut", "máximo", "maximo", "más alto", "px high", "massimo", "máxima", "hoog", "najwyższy",
        "highbid", "high bid", "bid high", "bidhigh", "price high", "highprice", "plus haut", "mid high",
    ),
    "low": (
        "low", "l", "low price", "min", "tief", "tageztief", "tagestief", "bas", "mínimo", "minimo", "más bajo", "px low", "minimo", "mínima", "laag", "najniższy",
        "lowbid", "low bid", "bid low", "bidlow", "price low", "lowprice", "plus bas", "mid low",
    ),
    "close": (
        "close", "c", "close price", "close/last", "closing price", "schluss", "schlusskurs", "letzter", "clôture",
        "cierre", "fechamento", "px last", "closebid", "close bid", "bid close", "bidclose", "price close", "closeprice",
        "dernier", "último", "ultimo", "zuletzt", "laatste", "zamknięcie", "last", "last price", "latest", "price", "settle", "kurs", "mid close",
    ),
    "adjusted": ("adj close", "adjclose", "adjusted close", "adj. close", "adj close*", "adjusted", "close adj"),
    "volume": (
        "volume", "v", "vol", "vol.", "volumen", "stücke", "stuecke", "real volume", "total volume", "trade volume",
        "volumefrom", "base volume", "total trade quantity", "volume traded", "volumetraded",
    ),
    "ticks": ("tickvol", "tick volume", "tickvolume", "ticks", "tickqty", "tick vol", "volume ticks"),
    "spread": ("spread", "spread close", "avg spread", "spreadclose"),
    "bid": ("bid",),
    "ask": ("ask", "ask close", "askclose", "closeask", "close ask"),
    "symbol": ("ticker", "symbol", "instrument", "pair", "tic", "ric", "secid"),
    "period": ("per", "period", "interval", "timeframe"),
}  # fmt: skip

_ROLES: dict[str, tuple[str, ...]] = {}
for _role, _titles in _NAMES.items():
    for _title in _titles:
        _ROLES[_title] = (*_ROLES.get(_title, ()), _role)
_RANKS = {(role, title): rank for role, titles in _NAMES.items() for rank, title in enumerate(titles)}

NEEDED = ("open", "high", "low", "close")
_OTHER = {"open interest", "openint", "open int", "open interest (usd)"}


def normalise(title: str) -> str:
    """Return a title in lower case without brackets, units and punctuation: `<OPEN>` and `Open (USD)` are `open`."""
    text = title.strip().strip("\ufeff\"'").strip()
    text = re.sub(r"^\d+[.:]\s+", "", text)
    text = text.strip("<>[] ").lower().replace("_", " ").replace("-", " ")
    without_unit = re.sub(r"\s*\([^)]*\)$", "", text)
    return " ".join((without_unit or text).split())


def roles_of(title: str) -> tuple[str, ...]:
    """Return what a column of this title can be; nothing for an unknown title."""
    text = normalise(title)
    if text in _OTHER:
        return ()
    roles = _ROLES.get(text, ())
    if not roles and text.startswith(("volume ", "vol ")) and text.split()[-1].isalpha():
        # Volume BTC, but neither Volume MA nor the second of Volume BTC and Volume USD.
        roles = () if text.split()[-1] in ("ma", "average", "avg", "sma", "ema") else ("volume",)
    return roles


def rank_of(role: str, title: str) -> int:
    """Return how usual this title is for the role, 0 for the most usual one."""
    return _RANKS.get((role, normalise(title)), 100)


def is_header(titles: list[str]) -> bool:
    """Whether a row of titles names at least open, high, low and close."""
    roles = {role for title in titles for role in roles_of(title)}
    return all(role in roles for role in NEEDED)


def flatten(titles: list[str]) -> list[str]:
    """Return plain titles for those of a MultiIndex (`('Open', 'XY')`) and for those with a symbol (`XY Open`)."""
    plain = [_title_of_tuple(title) for title in titles]
    if is_header(plain):
        return plain
    split = [re.split(r"[\s_.|:/]+", title.strip()) for title in plain]
    for part in (-1, 0):
        shortened = [
            parts[part] if len(parts) > 1 and set(roles_of(parts[part])) & {*NEEDED, "volume"} else title
            for title, parts in zip(plain, split, strict=True)
        ]
        if is_header(shortened):
            return shortened
    return plain


def _title_of_tuple(title: str) -> str:
    if not (title.startswith("(") and title.endswith(")")):
        return title
    try:
        parts = ast.literal_eval(title)
    except (ValueError, SyntaxError):
        return title
    texts = [str(part) for part in parts] if isinstance(parts, tuple) else [title]
    known = [text for text in texts if roles_of(text)]
    return known[0] if known else " ".join(texts).strip()
