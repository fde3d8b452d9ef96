"""The records that the simulation reads and writes, and the numbers of its fills and exits."""

import numpy as np

NEXT_OPEN, NEXT_CLOSE, SAME_CLOSE = 0, 1, 2
NO_EXIT = -1
BY_SIGNAL, BY_STOP, BY_TARGET, BY_TRAILING, BY_RUIN, STILL_OPEN = 0, 1, 2, 3, 4, 5
EXIT_REASONS = ("signal", "stop_loss", "take_profit", "trailing_stop", "ruin", "open")

RULES = np.dtype(
    [
        ("initial_capital", np.float64),
        ("commission", np.float64),
        ("fill", np.int64),
        ("by_fraction", np.bool_),
        ("size", np.float64),
        ("allow_long", np.bool_),
        ("allow_short", np.bool_),
        ("stop_loss", np.float64),  # 0: none
        ("take_profit", np.float64),
        ("trailing_stop", np.float64),
        ("stops_in_atr", np.bool_),  # distances in average true ranges instead of fractions of the price
        ("quantity_step", np.float64),
        ("minimum_quantity", np.float64),
        ("max_leverage", np.float64),
    ],
    align=True,
)
ACCOUNT = np.dtype(
    [
        ("cash", np.float64),
        ("quantity", np.float64),  # signed; 0 where no position is open
        ("entry_price", np.float64),
        ("live_from", np.int64),  # first bar on which the position's stops are live
        ("stop_price", np.float64),
        ("target_price", np.float64),
        ("trail_price", np.float64),
        ("trail_distance", np.float64),
        ("liquidation_price", np.float64),  # at which equity is zero
        ("lowest_price", np.float64),  # since the entry
        ("highest_price", np.float64),
        ("blocked_direction", np.int64),  # of the last position, if a stop or target closed it
        ("ruined", np.bool_),
        ("trades", np.int64),
        ("refused", np.int64),
        ("cut", np.int64),
        ("fees", np.float64),
        ("slippage_cost", np.float64),
        ("turnover", np.float64),  # notional traded
    ],
    align=True,
)
TRADE = np.dtype(
    [
        ("entry_index", np.int64),
        ("exit_index", np.int64),
        ("direction", np.int64),
        ("quantity", np.float64),
        ("entry_price", np.float64),
        ("exit_price", np.float64),
        ("fees", np.float64),
        ("pnl", np.float64),
        ("exit_reason", np.int64),
        ("mae", np.float64),
        ("mfe", np.float64),
        ("slippage_cost", np.float64),
    ],
    align=True,
)
