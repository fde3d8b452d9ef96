"""Routes of the API about operations; each kind adds its own."""

from django.urls import path

from operations.api import (
    batch,
    bulk,
    dispatch_pauses,
    labels,
    operation_types,
    runs,
    schedules,
    seed_runs,
    uploads,
)
from operations.api.files import ArtifactOfOperation, ArtifactsOfOperation
from operations.api.operations import (
    Cancel,
    Events,
    Logs,
    Metrics,
    OperationDetail,
    OperationList,
    Resume,
    Retry,
)
from operations.api.strategies import Catalog, ValidateStrategy
from operations.api.workers import Checkpoints, File, Reports, Secrets
from operations.registered_kinds import all_kinds

urlpatterns = [
    # The most frequent ones first.
    path("operations", OperationList.as_view(), name="operations"),
    path("operations/<str:operation_id>/report", Reports.as_view(), name="report"),
    path("strategies/validate", ValidateStrategy.as_view(), name="validate-strategy"),
    path("strategies/catalog", Catalog.as_view(), name="strategy-catalog"),
    *dispatch_pauses.urlpatterns,
    *runs.urlpatterns,
    *schedules.urlpatterns,
    *seed_runs.urlpatterns,
    *operation_types.urlpatterns,
    *uploads.urlpatterns,
    *batch.urlpatterns,
    *bulk.urlpatterns,
    path("operations/<str:operation_id>", OperationDetail.as_view(), name="operation"),
    path("operations/<str:operation_id>/cancel", Cancel.as_view(), name="cancel-operation"),
    path("operations/<str:operation_id>/retry", Retry.as_view(), name="retry-operation"),
    path("operations/<str:operation_id>/resume", Resume.as_view(), name="resume-operation"),
    *labels.urlpatterns,
    path("operations/<str:operation_id>/metrics", Metrics.as_view(), name="operation-metrics"),
    path("operations/<str:operation_id>/logs", Logs.as_view(), name="operation-logs"),
    path("operations/<str:operation_id>/events", Events.as_view(), name="operation-events"),
    path(
        "operations/<str:operation_id>/artifacts", ArtifactsOfOperation.as_view(), name="operation-artifacts"
    ),
    path(
        "operations/<str:operation_id>/artifacts/<path:name>",
        ArtifactOfOperation.as_view(),
        name="operation-artifact",
    ),
    path("operations/<str:operation_id>/checkpoints", Checkpoints.as_view(), name="checkpoints"),
    path("operations/<str:operation_id>/secrets", Secrets.as_view(), name="operation-secrets"),
    path("artifacts/<str:sha256>", File.as_view(), name="file"),
    *(route for kind in all_kinds() for route in kind.api_urls()),
]
