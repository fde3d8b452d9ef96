"""What an operation is given that is known only when it starts: the model of a training that had to end first,
and how often this data has been traded before."""

from django.db.models import Func, JSONField, Value

from operations.models import Artifact, Operation
from operations.states import Status

MODEL_FILES = ("model.safetensors", "model.json")


def complete(operation: Operation) -> None:
    """Called with the operation's row locked, in the transaction that claims its worker."""
    if operation.operation_type != "backtesting":
        return
    if model := operation.parameters.get("model"):
        link_model(operation, model)
    operation.parameters = {**operation.parameters, "trials": trials(operation)}
    Operation.objects.filter(pk=operation.pk).update(parameters=operation.parameters)


def link_model(operation: Operation, training_id: str) -> None:
    """The model's files become inputs `model/...`; again is harmless."""
    files = Artifact.objects.filter(
        operation=training_id,
        operation__status=Status.COMPLETED,
        role=Artifact.Role.OUTPUT,
        name__in=MODEL_FILES,
    )
    Artifact.objects.bulk_create(
        [
            Artifact(
                operation=operation, role=Artifact.Role.INPUT, name=f"model/{file.name}", file_id=file.file_id
            )
            for file in files
        ],
        ignore_conflicts=True,
    )


def trials(operation: Operation) -> int:
    """Backtests with distinct parameters that have run on this data so far, this one among them.

    The number that the deflated Sharpe ratio (Bailey and Lopez de Prado 2014) asks for. The data are the same
    where symbol and timeframe are, whichever part of the time was looked at: a person remembers what worked.
    """
    same_data = {name: operation.parameters.get(name) for name in ("symbol", "timeframe")}
    ran = Operation.objects.filter(
        operation_type=operation.operation_type, parameters__contains=same_data, started_at__isnull=False
    )
    without_trials = Func(
        "parameters",
        Value("trials"),
        arg_joiner=" - ",
        template="(%(expressions)s)",
        output_field=JSONField(),
    )
    seen = ran.exclude(pk=operation.pk).annotate(tried=without_trials).values_list("tried", flat=True)
    own = {name: value for name, value in operation.parameters.items() if name != "trials"}
    others = seen.exclude(tried=Value(own, JSONField())).distinct().count()
    return others + 1
