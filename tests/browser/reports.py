"""Sample reports in the format of the workers, with plausible numbers."""

import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any


def backtest_report(days: int = 800) -> dict[str, Any]:
    noise = random.Random(3)
    begins = datetime(2010, 1, 4, tzinfo=UTC)
    time = [(begins + timedelta(days=index)).isoformat() for index in range(days)]
    close, equity = [300.0], [100_000.0]
    for _ in range(days - 1):
        move = noise.gauss(0.0004, 0.014)
        close.append(close[-1] * (1 + move))
        equity.append(equity[-1] * (1 + 0.6 * move + noise.gauss(0, 0.003)))
    peak, drawdown = 0.0, []
    for value in equity:
        peak = max(peak, value)
        drawdown.append(value / peak - 1)
    trades = [
        {
            "entry_index": index, "exit_index": index + 9, "entry_time": time[index], "exit_time": time[index + 9], "side": 1 if index % 40 else -1,
            "quantity": 120.5, "entry_price": close[index], "exit_price": close[index + 9], "fees": 96.2,
            "pnl": (close[index + 9] - close[index]) * 120.5, "return": close[index + 9] / close[index] - 1, "exit_reason": "signal", "mae": -0.02, "mfe": 0.03, "slippage_cost": 18.5,
        }
        for index in range(20, days - 20, 20)
    ]  # fmt: skip
    months = [
        {"year": 2010 + index // 12, "month": index % 12 + 1, "return": noise.gauss(0.004, 0.035)}
        for index in range(26)
    ]
    return {
        "series": {
            "time": time,
            "close": close,
            "equity": equity,
            "benchmark": [100_000 * value / 300 for value in close],
            "drawdown": drawdown,
            **{
                f"rolling_{name}": [None] * 62 + [scale * math.sin(index / 90) for index in range(days - 62)]
                for name, scale in (("sharpe", 1.0), ("sortino", 1.4), ("volatility", 0.2), ("beta", 0.6))
            },
        },
        "rolling": {"observations": 63, "unit": "daily"},
        "yearly_returns": [
            {"year": 2010 + index, "return": 0.083 - 0.06 * index, "benchmark": 0.051 * (index - 1)}
            for index in range(3)
        ],
        "distribution": {
            "unit": "daily",
            "edges": [-0.041 + 0.002 * index for index in range(42)],
            "counts": [round(90 * math.exp(-(((index - 20) / 7) ** 2))) for index in range(41)],
            "mean": 0.00031,
            "deviation": 0.0121,
            "skewness": -0.23,
            "excess_kurtosis": 2.71,
            "positive": 0.53,
        },
        "extremes": {
            "best": [
                {"time": time[300 + index], "return": 0.041 - 0.002 * index, "benchmark": 0.022}
                for index in range(10)
            ],
            "worst": [
                {"time": time[200 + index], "return": 0.002 * index - 0.047, "benchmark": None}
                for index in range(10)
            ],
        },
        "relations": [
            {
                "name": name,
                "alpha": 0.0412,
                "beta": 0.613,
                "correlation": 0.712,
                "information_ratio": -0.23,
                "tracking_error": 0.094,
                "observations": days - 1,
            }
            for name in ("buy and hold", "SPY")
        ],
        "trades": trades,
        "monthly_returns": months,
        "drawdowns": [
            {"start": "2010-04-26", "trough": "2010-07-02", "end": "2010-12-30", "depth": -0.192, "bars": 171}
        ],
        "by_exit_reason": [{"key": "signal", "trades": 30, "win_rate": 0.53, "pnl": 18_000.0}],
        "by_weekday": [{"key": "Monday", "trades": 12, "win_rate": 0.5, "pnl": 2_000.0}],
    }


def training_report() -> dict[str, Any]:
    centres = [index * 2.5 for index in range(41)]
    return {
        "confusion_matrix": {
            "labels": ["short", "flat", "long"],
            "matrix": [[210, 60, 120], [80, 130, 70], [110, 40, 350]],
        },
        "classes": [
            {"class": name, "precision": 0.52, "recall": 0.54, "f1": 0.53, "support": 390}
            for name in ("short", "flat", "long")
        ],
        "calibration": {"predicted": [0.35, 0.45, 0.55, 0.65], "observed": [0.37, 0.44, 0.52, 0.58]},
        "importance": {"rsi_14.oversold": 0.021, "rsi_14.overbought": 0.012, "macd.positive": -0.001},
        "label_balance": {"short": 0.33, "flat": 0.24, "long": 0.43},
        "splits": [
            {"part": "training", "start": "2000-03-01", "end": "2006-05-01", "rows": 5460},
            {"part": "validation", "start": "2006-05-15", "end": "2007-09-01", "rows": 1170},
        ],
        "fuzzy_sets": [
            {
                "name": "rsi_14",
                "x": centres,
                "sets": [
                    {"name": "oversold", "y": [max(0.0, 1 - value / 40) for value in centres]},
                    {"name": "overbought", "y": [max(0.0, (value - 60) / 40) for value in centres]},
                ],
                "histogram": {
                    "x": centres,
                    "density": [math.exp(-(((value - 52) / 16) ** 2)) for value in centres],
                },
            }
        ],
        "rules": ["IF rsi_14 is oversold THEN long (0.62)"],
    }
