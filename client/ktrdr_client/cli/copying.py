"""`ktrdr copy`: copy market data and strategies from another site to this one."""

import os
import tempfile
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ktrdr_client.cli.output import COMPLETED, FAILED, show, warn
from ktrdr_client.problems import ClientError
from ktrdr_client.sync.client import Client

MARKET_DATA, STRATEGIES = "market-data", "strategies"
Copies = Iterator[tuple[str, str]]
"""The name of each series or strategy, and what was done with it."""
TOKEN_VARIABLE = "KTRDR_FROM_TOKEN"  # noqa: S105  (a name)


def add_copy(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        dest="source",
        required=True,
        metavar="URL",
        help=f"address of the other site; its token is read from {TOKEN_VARIABLE}",
    )
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"{MARKET_DATA}, {STRATEGIES}; default: both")
    parser.add_argument("--symbol", action="append", help="only bars of this symbol; may be repeated")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="also copy what differs: replace bars, add a version to strategies",
    )
    parser.set_defaults(run=copy)


def copy(client: Client, options: Namespace) -> int:
    """Copy one by one and continue after a failure. Series and strategies that are equal here are skipped."""
    chosen = options.what or [MARKET_DATA, STRATEGIES]
    if unknown := set(chosen) - {MARKET_DATA, STRATEGIES}:
        raise ValueError(f"cannot copy {sorted(unknown)[0][:80]!r}, only {MARKET_DATA} and {STRATEGIES}")
    failed = False
    with options.connect(options.source, os.environ.get(TOKEN_VARIABLE, "")) as source:
        for what, copy_all in ((MARKET_DATA, _copy_market_data), (STRATEGIES, _copy_strategies)):
            if what in chosen:
                for name, result in copy_all(source, client, options):
                    show(f"{name}: {result}")
                    failed = failed or result.startswith("failed")
    if failed:
        warn("ktrdr: some copies failed; run the command again to copy the rest")
    return FAILED if failed else COMPLETED


def _copy_market_data(source: Client, target: Client, options: Namespace) -> Copies:
    here = {(row["symbol"], row["timeframe"]): row for row in _series(target)}
    for row in _series(source):
        symbol, timeframe = row["symbol"], row["timeframe"]
        if options.symbol and symbol not in options.symbol:
            continue
        present = here.get((symbol, timeframe))
        if (result := _reason_to_keep(present, row, "sha256", options.replace)) is None:
            try:
                _copy_bars(source, target, symbol, timeframe)
                result = f"{row['rows']:,} bars copied"
            except (ClientError, OSError) as error:
                result = f"failed: {error}"
        yield f"{symbol} {timeframe}", result


def _series(client: Client) -> list[dict[str, Any]]:
    rows = client.market_data.coverage().to_dict("records")
    return [{str(key): value for key, value in row.items()} for row in rows]


def _copy_bars(source: Client, target: Client, symbol: str, timeframe: str) -> None:
    with tempfile.TemporaryDirectory(prefix="ktrdr-") as directory:
        file = Path(directory) / "bars.parquet"
        file.write_bytes(source.market_data.parquet(symbol, timeframe))
        target.market_data.import_(file, symbol, timeframe)


def _copy_strategies(source: Client, target: Client, options: Namespace) -> Copies:
    here = {row["name"]: row for row in target.strategies.list()}
    for row in source.strategies.list():
        name = row["name"]
        present = here.get(name)
        if (result := _reason_to_keep(present, row, "digest", options.replace)) is None:
            try:
                text = source.strategies.text(name, row["version"])
                if present is None:
                    labels = {key: row[key] for key in ("title", "note", "tags")}
                    target.strategies.save(name, text, **labels)
                else:
                    target.strategies.add_version(name, text, f"copied from {options.source}"[:120])
                result = f"version {row['version']} copied"
            except ClientError as error:
                result = f"failed: {error}"
        yield f"strategy {name}", result


def _reason_to_keep(
    present: dict[str, Any] | None, row: dict[str, Any], key: str, replace: bool
) -> str | None:
    """Return why the target keeps its own; None to copy."""
    if present is None:
        return None
    if present[key] == row[key]:
        return "equal"
    return None if replace else "different here, kept (--replace copies it)"
