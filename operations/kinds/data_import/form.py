"""The form of an import."""

from operations.kinds.data_import.request import ImportRequest
from operations.presentation.forms import Field, Fold, Form, field_of

FORM = Form(
    title="Import market data",
    api_path="/market-data",
    submit_text="Import",
    main=(
        Field("file", "file", "File", help="CSV (Yahoo, MetaTrader, Stooq, histdata) or Parquet.", is_required=True),
        field_of(ImportRequest, "symbol", "Symbol"),
        field_of(ImportRequest, "timeframe", "Timeframe"),
        field_of(ImportRequest, "timezone", "Time zone", "Time zone of the timestamps, for example America/New_York. Defaults to UTC."),
        field_of(ImportRequest, "adjust", "Adjust prices with the adjusted close"),
    ),
    folds=(Fold("Queue", (field_of(ImportRequest, "priority", "Priority", "Operations with a higher priority start first."),)),),
)  # fmt: skip
