"""The form of an import."""

from operations.kinds.data_import.request import ImportRequest
from operations.presentation.forms import Field, Fold, Form, field_of

FORM = Form(
    title="Import market data",
    api_path="/market-data",
    submit_text="Import",
    preview_path="/market-data/preview",
    preview_template="data_import/preview.html",
    main=(
        Field("file", "file", "File", help="CSV of any source, Parquet, Feather, Excel (.xlsx) or JSON; also in gzip or zip.", is_required=True),
        field_of(ImportRequest, "symbol", "Symbol"),
        field_of(ImportRequest, "timeframe", "Timeframe"),
        field_of(ImportRequest, "timezone", "Time zone", "Of times without an offset, for example America/New_York. If empty, the sessions of known markets decide."),
        field_of(ImportRequest, "adjust", "Adjust prices with the adjusted close"),
    ),
    folds=(
        Fold(
            "Reading",
            (
                field_of(ImportRequest, "stamped", "Time of a bar", "Whether the times are those of the open or the close."),
                field_of(ImportRequest, "decimal", "Decimal mark"),
                field_of(ImportRequest, "layout", "Layout", "Source of the file, where two sources write the same."),
                field_of(ImportRequest, "point_size", "Point size", "Price of a point, for a spread in points."),
            ),
        ),
        Fold("Queue", (field_of(ImportRequest, "priority", "Priority", "Operations with a higher priority start first."),)),),
)  # fmt: skip
