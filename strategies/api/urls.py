"""Routes of saved strategies. Those of the grammar and the catalog, `/strategies/validate` and `/catalog`, come before."""

from django.urls import path

from strategies.api.strategies import DeleteStrategy, RestoreStrategy, StrategyDetail, StrategyList
from strategies.api.versions import Difference, VersionDetail, VersionFile, VersionList

urlpatterns = [
    path("strategies", StrategyList.as_view(), name="strategies"),
    path("strategies/<str:name>", StrategyDetail.as_view(), name="strategy"),
    path("strategies/<str:name>/delete", DeleteStrategy.as_view(), name="delete-strategy"),
    path("strategies/<str:name>/restore", RestoreStrategy.as_view(), name="restore-strategy"),
    path("strategies/<str:name>/diff", Difference.as_view(), name="strategy-diff"),
    path("strategies/<str:name>/versions", VersionList.as_view(), name="strategy-versions"),
    path("strategies/<str:name>/versions/<int:number>", VersionDetail.as_view(), name="strategy-version"),
    path(
        "strategies/<str:name>/versions/<int:number>/file",
        VersionFile.as_view(),
        name="strategy-version-file",
    ),
]
