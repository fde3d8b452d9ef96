"""`ktrdr submit` and `ktrdr import`."""

import json
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from ktrdr_client.cli.following import follow_operation, follow_seed_run, follow_study
from ktrdr_client.cli.output import COMPLETED, show
from ktrdr_client.sync.client import Client
from ktrdr_client.sync.operations import Operation

COSTS = ("initial_capital", "commission", "slippage", "spread", "stop_loss", "take_profit", "trailing_stop")
QUEUEING = ("priority", "after")


def parameter(text: str) -> tuple[str, Any]:
    """Return name and value of `name=value`; the value is JSON, or text if it is not. Raises ArgumentTypeError."""
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentTypeError(f"{text[:80]!r} is not of the form name=value")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def add_queueing(parser: ArgumentParser) -> None:
    parser.add_argument("--priority", type=int, help="higher runs first")
    parser.add_argument("--after", nargs="+", metavar="ID", help="start when these operations have completed")
    add_wait(parser)


def add_wait(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--wait",
        action="store_true",
        help="follow it and print its result; exit 0 completed, 1 failed, 3 cancelled",
    )


def add_dates(parser: ArgumentParser) -> None:
    parser.add_argument("--from", dest="start_date", metavar="DATE")
    parser.add_argument("--to", dest="end_date", metavar="DATE")


def add_submit(parser: ArgumentParser) -> None:
    kinds = parser.add_subparsers(dest="kind", required=True, metavar="KIND")
    training = kinds.add_parser("training", help="train a strategy")
    training.add_argument("file", metavar="STRATEGY.yaml", type=Path)
    training.add_argument("--symbols", nargs="+", metavar="SYMBOL")
    training.add_argument("--seed", type=int)
    training.add_argument(
        "--seeds",
        type=int,
        metavar="N",
        help="train with N seeds; with --wait, show the spread of the figures",
    )
    add_dates(training)
    training.set_defaults(run=submit_training)
    backtest = kinds.add_parser("backtest", help="backtest a trained model or a rules strategy")
    backtest.add_argument("file", metavar="STRATEGY.yaml", type=Path, nargs="?")
    backtest.add_argument("--symbol", required=True)
    backtest.add_argument("--model", metavar="ID", help="the training whose model is tested")
    for name in COSTS:
        backtest.add_argument(f"--{name.replace('_', '-')}", type=float, metavar="X")
    add_dates(backtest)
    backtest.set_defaults(run=submit_backtest)
    operation = kinds.add_parser("operation", help="an operation of any type that a worker has announced")
    operation.add_argument("type", metavar="TYPE")
    operation.add_argument(
        "-p", dest="parameters", type=parameter, action="append", default=[], metavar="NAME=VALUE"
    )
    operation.add_argument("--json", dest="file", type=Path, metavar="FILE", help="all parameters as JSON")
    operation.set_defaults(run=submit_operation)
    for kind in (training, backtest, operation):
        add_queueing(kind)
    study = kinds.add_parser("study", help="search the parameters of a strategy")
    study.add_argument("file", metavar="STUDY.yaml", type=Path)
    study.add_argument("--strategy", required=True, metavar="STRATEGY.yaml", type=Path)
    study.add_argument("--model", metavar="ID", help="the training whose model is searched")
    add_wait(study)
    study.set_defaults(run=submit_study)


def submit_training(client: Client, options: Namespace) -> int:
    fields = _options_given(options, "seed", "start_date", "end_date", *QUEUEING)
    if options.seeds is None:
        return _show_id(client.trainings.start(options.file, options.symbols, **fields), options)
    training = {
        "operation_type": "training",
        "strategy_yaml": options.file,
        "symbols": options.symbols,
        **fields,
    }
    seed_run = client.seed_runs.submit(options.seeds, training)
    show(seed_run.id)
    return follow_seed_run(seed_run) if options.wait else COMPLETED


def submit_backtest(client: Client, options: Namespace) -> int:
    fields = _options_given(options, "start_date", "end_date", *COSTS, *QUEUEING)
    operation = client.backtests.start(options.symbol, model=options.model, strategy=options.file, **fields)
    return _show_id(operation, options)


def submit_operation(client: Client, options: Namespace) -> int:
    parameters = json.loads(options.file.read_text()) if options.file else {}
    parameters |= dict(options.parameters)
    operation = client.operations.submit(options.type, parameters, **_options_given(options, *QUEUEING))
    return _show_id(operation, options)


def submit_study(client: Client, options: Namespace) -> int:
    study = client.studies.submit(options.file, options.strategy, model=options.model)
    show(study.id)
    return follow_study(study) if options.wait else COMPLETED


def add_import(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, help="CSV, Parquet, Excel, Feather or JSON")
    parser.add_argument("--symbol", required=True)
    parser.add_argument("--timeframe", required=True)
    parser.add_argument("--adjust", action="store_true", help="adjust prices by the adjusted close")
    parser.add_argument("--timezone", help="of times without an offset, such as Europe/Berlin")
    parser.add_argument("--stamped", choices=["open", "close"], help="the meaning of a bar's time")
    parser.add_argument("--decimal", choices=["point", "comma"])
    add_wait(parser)
    parser.set_defaults(run=import_bars)


def import_bars(client: Client, options: Namespace) -> int:
    fields = _options_given(options, "adjust", "timezone", "stamped", "decimal")
    operation = client.market_data.import_(
        options.file, options.symbol, options.timeframe, wait=False, **fields
    )
    return _show_id(operation, options)


def _show_id(operation: Operation, options: Namespace) -> int:
    show(operation.id)
    return follow_operation(operation) if options.wait else COMPLETED


def _options_given(options: Namespace, *names: str) -> dict[str, Any]:
    return {name: value for name in names if (value := getattr(options, name)) not in (None, False)}
