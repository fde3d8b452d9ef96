"""Names, order and units of backtest metrics."""

from dataclasses import dataclass
from typing import Any

from operations.presentation.metrics import MetricStyle
from operations.presentation.numbers import decimal, duration, integer, percent, short

FORMATS = {
    "total_return": percent,
    "cagr": percent,
    "volatility": percent,
    "sharpe": decimal,
    "sharpe_basis": short,
    "periods_per_year": short,
    "sortino": decimal,
    "calmar": decimal,
    "psr": percent,
    "dsr": percent,
    "trials": short,
    "max_drawdown": percent,
    "max_drawdown_bars": integer,
    "max_drawdown_seconds": duration,
    "exposure": percent,
    "turnover": decimal,
    "turnover_basis": short,
    "trades": integer,
    "win_rate": percent,
    "profit_factor": decimal,
    "expectancy": decimal,
    "average_trade": lambda value: percent(value, 2),
    "best_trade": percent,
    "worst_trade": percent,
    "sqn": decimal,
    "kelly": percent,
    "var_95": lambda value: percent(value, 2),
    "cvar_95": lambda value: percent(value, 2),
    "fees": decimal,
    "slippage_cost": decimal,
    "initial_capital": integer,
    "final_equity": integer,
    "debt": decimal,
}
NAMES = {
    "cagr": "CAGR",
    "psr": "PSR",
    "dsr": "DSR",
    "sqn": "SQN",
    "var_95": "VaR 95 %, one observation",
    "cvar_95": "CVaR 95 %, one observation",
    "max_drawdown_seconds": "Max drawdown duration",
    "max_drawdown_bars": "Max drawdown, bars",
    "sharpe_basis": "Basis of annual figures",
    "turnover_basis": "Turnover unit",
    "slippage_cost": "Slippage and spread",
    "sharpe_per_bar": "Sharpe, by bars",
}


@dataclass(frozen=True, slots=True)
class MetricRow:
    name: str
    text: str


def metric_rows(metrics: dict[str, Any]) -> list[MetricRow]:
    """Format the metrics in display order; unknown ones of newer workers come last."""
    names = [name for name in FORMATS if name in metrics] + [name for name in metrics if name not in FORMATS]
    return [MetricRow(title(name), str(FORMATS.get(name, short)(metrics[name]))) for name in names]


def title(name: str) -> str:
    return NAMES.get(name, name.replace("_", " ").capitalize())


def metric_style(name: str) -> MetricStyle:
    names = list(FORMATS)
    rank = names.index(name) if name in FORMATS else len(names)
    return MetricStyle(title(name), FORMATS.get(name, short), rank)
