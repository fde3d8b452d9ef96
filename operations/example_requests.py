"""Example bodies of submissions, for the API document, the list of operation types and the browsable API."""

from typing import Any

STRATEGY = """\
name: rsi_reversion
version: "3.0"
training_data:
  symbols: {mode: multi_symbol, list: [AAPL, IBM]}
  timeframes: {mode: single, timeframe: 1d}
indicators:
  rsi_14: {type: rsi, period: 14}
fuzzy_sets:
  momentum:
    indicator: rsi_14
    oversold: [0, 0, 25, 45]
    neutral: [30, 50, 70]
    overbought: [55, 75, 100, 100]
nn_inputs:
  - {fuzzy_set: momentum, timeframes: all}
model:
  type: mlp
  architecture: {hidden_layers: [16]}
decisions: {output_format: classification}
training:
  labels: {source: forward_return, horizon: 5, threshold: 0.01}
"""
RULES_STRATEGY = """\
name: moving_average_cross
version: "3.0"
training_data:
  symbols: {mode: single, symbol: AAPL}
  timeframes: {mode: single, timeframe: 1d}
indicators:
  fast: {type: sma, period: 20}
  slow: {type: sma, period: 100}
model: {type: rules}
decisions:
  long: crosses_above(fast, slow)
  exit_long: crosses_below(fast, slow)
"""
OPERATION = "3j23stccde4iocal"

TRAINING: dict[str, Any] = {
    "strategy_yaml": STRATEGY,
    "start_date": "2000-03-01",
    "end_date": "2009-12-31",
    "seed": 42,
}
BACKTEST: dict[str, Any] = {
    "model": OPERATION,
    "symbol": "AAPL",
    "start_date": "2010-01-01",
    "commission": 0.001,
    "stop_unit": "atr",
    "stop_loss": 2.5,
}
ANY_TYPE: dict[str, Any] = {"operation_type": "echo", "parameters": {"seconds": 1.0}, "priority": 5}
BATCH: dict[str, Any] = {
    "operations": [
        {"operation_type": "training", "strategy_yaml": STRATEGY, "end_date": "2009-12-31"},
        {
            "operation_type": "backtesting",
            "model": "#0",
            "after": ["#0"],
            "symbol": "AAPL",
            "start_date": "2010-01-01",
        },
    ]
}
SCHEDULE = {
    "name": "Retrain every morning",
    "cron": "30 6 * * mon-fri",
    "time_zone": "Europe/Berlin",
    "overlap": "skip",
    "operation": {"operation_type": "training", "strategy_yaml": STRATEGY},
}
SEED_RUN: dict[str, Any] = {
    "seeds": 5,
    "operation": {"operation_type": "training", **TRAINING},
    "backtest": {"symbol": "AAPL", "start_date": "2010-01-01"},
}
