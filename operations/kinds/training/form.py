"""The form of a training."""

from operations.kinds.training.request import TrainingRequest
from operations.presentation.forms import Fold, Form, date_fields, field_of, queueing_fields, seeds_field

FORM = Form(
    title="New training",
    api_path="/training/start",
    submit_text="Start training",
    main=(
        field_of(TrainingRequest, "strategy_yaml", "Strategy", kind="strategy"),
        field_of(
            TrainingRequest, "symbols", "Symbols", "Separated by spaces. Defaults to the strategy's symbols."
        ),
        field_of(
            TrainingRequest,
            "timeframes",
            "Timeframes",
            "Separated by spaces. Defaults to the strategy's timeframes.",
        ),
        *date_fields(TrainingRequest),
    ),
    folds=(
        Fold(
            "Seed, device and queue",
            (
                field_of(TrainingRequest, "seed", "Seed", "The same seed gives the same model."),
                seeds_field(),
                field_of(TrainingRequest, "device", "Device", "auto selects the best device of the worker."),
                field_of(TrainingRequest, "prefer_gpu", "Prefer a GPU"),
                *queueing_fields(TrainingRequest),
            ),
        ),
    ),
)
