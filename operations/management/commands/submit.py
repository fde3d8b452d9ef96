"""Submits a training or a backtest of a strategy file."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from access.problems import Problem, checked
from operations import orders
from operations.management.submitting import SubmittingCommand, refused
from operations.requests import BacktestRequest, TrainingRequest


class Command(SubmittingCommand):
    help = "Submits a training or a backtest of a strategy file."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=["training", "backtest"])
        parser.add_argument("strategy", type=Path, help="STRATEGY.yaml")
        parser.add_argument("--symbols", nargs="+", help="default of a training: those of the strategy")
        parser.add_argument("--from", dest="start_date", metavar="DATE")
        parser.add_argument("--to", dest="end_date", metavar="DATE")
        parser.add_argument("--model", metavar="OP", help="the training whose model is tested")
        parser.add_argument("--priority", type=int, default=0)
        super().add_arguments(parser)

    def handle(self, *args: Any, kind: str, strategy: Path, wait: bool, json: bool, **options: Any) -> None:
        try:
            text = strategy.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise CommandError(f"{strategy} cannot be read: {error}") from error
        given = {
            "strategy_yaml": text,
            "priority": options["priority"],
            **{name: options[name] for name in ("start_date", "end_date") if options[name]},
        }
        try:
            order = self._training(given, options) if kind == "training" else self._backtest(given, options)
            self.submit(order, wait=wait, json=json)
        except Problem as problem:
            raise refused(problem) from problem

    def _training(self, given: dict[str, Any], options: dict[str, Any]) -> orders.Order:
        if options["symbols"]:
            given["symbols"] = options["symbols"]
        return orders.training(checked(TrainingRequest, given))

    def _backtest(self, given: dict[str, Any], options: dict[str, Any]) -> orders.Order:
        symbols = options["symbols"] or []
        if len(symbols) != 1:
            raise CommandError("A backtest needs one symbol: --symbols GOOG")
        return orders.backtest(
            checked(BacktestRequest, {**given, "symbol": symbols[0], "model": options["model"]})
        )
