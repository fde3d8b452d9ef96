"""Expressions over bars and indicators: `rsi_14 < 30 and close > mean(close, 200)`.

`parser` reads the text into a tree, `resolving` checks names, kinds and windows, `lookback` counts the earlier bars that
a tree needs. All of it is pure; `workers.strategy.indicators.evaluation` computes them on columns. No text is ever executed.
"""
