"""Gradient boosting on bars: predicts from the last returns of a symbol whether its price rises next.

Needs pandas, pyarrow and scikit-learn. The model is the artifact model.joblib.
"""

import math
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from worker_agent.base import Job, WorkerAPIBase
from worker_agent.inputs import Bars
from worker_agent.protocol import InvalidInput
from worker_agent.results import Shown

MIN_ROWS = 50


class BoostingParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    symbol: Annotated[str, Bars("1d")] = Field(title="Symbol", description="Daily bars to learn from")
    lags: int = Field(default=5, ge=1, le=60, description="Number of past returns that are features")
    horizon: int = Field(default=1, ge=1, le=60, description="Bars ahead")
    test_share: float = Field(default=0.25, ge=0.05, le=0.5, description="Newest share, kept for the test")
    rounds: int = Field(default=100, ge=10, le=2000)
    seed: int = Field(default=0, ge=0)


class BoostingResult(BaseModel):
    test_accuracy: Annotated[float, Shown("percent", is_summary=True)]
    always_the_more_frequent: Annotated[float, Shown("percent")] = Field(
        description="Accuracy without a model"
    )
    test_bars: int
    rounds: int


class BoostingWorker(WorkerAPIBase):
    """Trains a gradient booster on daily bars."""

    worker_type = "boosting"
    operation_type = "boosting"
    start_path = "/boosting/start"
    Parameters = BoostingParameters
    Result = BoostingResult
    preload = ("pandas", "sklearn.ensemble")
    default_port = 5011

    def run(self, parameters: BoostingParameters, job: Job) -> BoostingResult:
        import joblib
        import pandas as pd
        from sklearn.ensemble import HistGradientBoostingClassifier

        close = pd.read_parquet(job.inputs["symbol"], columns=["time", "close"]).set_index("time")["close"]
        returns = close.pct_change()
        features = pd.DataFrame({f"return_{lag}": returns.shift(lag) for lag in range(parameters.lags)})
        rises = close.shift(-parameters.horizon) > close
        usable = features.notna().all(axis="columns") & close.shift(-parameters.horizon).notna()
        features, rises = features[usable], rises[usable]
        split = len(features) - math.ceil(len(features) * parameters.test_share)
        # The labels of the last training rows would contain prices of the test period.
        trained = split - parameters.horizon
        if trained < MIN_ROWS or rises[:trained].nunique() < 2:
            raise InvalidInput(f"{parameters.symbol} has too few daily bars to train on: {len(close)}.")
        model = HistGradientBoostingClassifier(warm_start=True, random_state=parameters.seed)
        for rounds in range(10, parameters.rounds + 1, 10):
            model.set_params(max_iter=rounds).fit(features[:trained], rises[:trained])
            job.metric("train_accuracy", step=rounds, value=model.score(features[:trained], rises[:trained]))
            job.metric("test_accuracy", step=rounds, value=model.score(features[split:], rises[split:]))
            job.progress(100.0 * rounds / parameters.rounds, "boosting", rounds, parameters.rounds)
            if job.cancelled:
                break
        joblib.dump(model, Path("model.joblib"))  # the job's own directory, removed after the operation
        job.artifact("model.joblib", Path("model.joblib"))
        probability = model.predict_proba(features[split:])[:, 1]
        job.table("predictions", pd.DataFrame({"time": features.index[split:], "probability": probability}))
        test = rises[split:]
        return BoostingResult(
            test_accuracy=model.score(features[split:], test),
            always_the_more_frequent=max(test.mean(), 1 - test.mean()),
            test_bars=len(test),
            rounds=model.n_iter_,
        )


if __name__ == "__main__":
    BoostingWorker.main()
