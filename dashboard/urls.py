"""The pages, under /dashboard/."""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from dashboard.views.actions import (
    act,
    act_on_many,
    dispatch_pause,
    labels,
    market_data_delete,
    worker_act,
)
from dashboard.views.bulk import act_on_all
from dashboard.views.compare import compare
from dashboard.views.market_data import market_data, market_data_of
from dashboard.views.notifications import notification, notification_act, notifications
from dashboard.views.operation import (
    operation,
    operation_live,
    operation_log,
    operation_log_text,
    operation_metrics,
)
from dashboard.views.operation_list import operations
from dashboard.views.overview import overview
from dashboard.views.runs import runs, runs_csv, tag, tag_change, tags
from dashboard.views.schedules import new_schedule, next_times, schedule, schedule_act, schedules
from dashboard.views.seed_runs import new_seed_run, seed_run, seed_runs
from dashboard.views.sharing import revoke_link, share
from dashboard.views.strategies import examples, strategies, strategy, strategy_diff, strategy_text
from dashboard.views.strategy_changes import import_files, new_strategy, save_version, strategy_act
from dashboard.views.strategy_texts import check, preview_strategy, strategy_form
from dashboard.views.studies import new_study, studies, study, study_act, study_trial
from dashboard.views.submit import clone, new, preview, submit
from dashboard.views.trades import trades, trades_drawn
from dashboard.views.workers import worker, workers

app_name = "dashboard"


class IdentifierConverter(StringConverter):
    """Ids, symbols and file names, as the wire protocol allows them."""

    regex = r"[A-Za-z0-9^][A-Za-z0-9^=_.:-]{0,127}"


register_converter(IdentifierConverter, "id")

urlpatterns = [
    path("", overview, name="overview"),
    path("operations", operations, name="operations"),
    path("operations/all/<id:act>", act_on_all, name="act_on_all"),
    path("operations/<id:operation_id>", operation, name="operation"),
    path("operations/<id:operation_id>/live", operation_live, name="operation_live"),
    path("operations/<id:operation_id>/log", operation_log, name="operation_log"),
    path("operations/<id:operation_id>/log.txt", operation_log_text, name="operation_log_text"),
    path("operations/<id:operation_id>/metrics", operation_metrics, name="operation_metrics"),
    path("operations/<id:operation_id>/clone", clone, name="clone"),
    path("operations/<id:operation_id>/act/<id:act>", act, name="act"),
    path("operations/<id:operation_id>/trades", trades, name="trades"),
    path("operations/<id:operation_id>/trades/drawn", trades_drawn, name="trades_drawn"),
    path("operations/<id:operation_id>/labels", labels, name="labels"),
    path("operations/<id:operation_id>/share", share, name="share"),
    path("operations/<id:operation_id>/share/<int:number>/revoke", revoke_link, name="revoke_link"),
    path("act", act_on_many, name="act_on_many"),
    path("new", new, name="new"),
    path("new/<id:kind>", submit, name="new_operation"),
    path("new/<id:kind>/preview", preview, name="preview"),
    path("compare", compare, name="compare"),
    path("market-data", market_data, name="market_data"),
    path("market-data/<id:symbol>/<id:timeframe>", market_data_of, name="market_data_of"),
    path("market-data/<id:symbol>/<id:timeframe>/delete", market_data_delete, name="market_data_delete"),
    path("notifications", notifications, name="notifications"),
    path("notifications/<int:number>", notification, name="notification"),
    path("notifications/<int:number>/<id:act>", notification_act, name="notification_act"),
    path("runs", runs, name="runs"),
    path("runs.csv", runs_csv, name="runs_csv"),
    path("tags", tags, name="tags"),
    path("tags/<str:name>", tag, name="tag"),
    path("tags/<str:name>/change", tag_change, name="tag_change"),
    path("schedules", schedules, name="schedules"),
    path("schedules/new", new_schedule, name="new_schedule"),
    path("schedules/next", next_times, name="next_times"),
    path("schedules/<id:schedule_id>", schedule, name="schedule"),
    path("schedules/<id:schedule_id>/act/<id:act>", schedule_act, name="schedule_act"),
    path("seed-runs", seed_runs, name="seed_runs"),
    path("seed-runs/new", new_seed_run, name="new_seed_run"),
    path("seed-runs/<id:seed_run_id>", seed_run, name="seed_run"),
    path("strategies", strategies, name="strategies"),
    path("strategies/text", strategy_text, name="strategy_text"),
    path("strategies/new", new_strategy, name="new_strategy"),
    path("strategies/form", strategy_form, name="strategy_form"),
    path("strategies/check", check, name="check_strategy"),
    path("strategies/preview", preview_strategy, name="preview_strategy"),
    path("strategies/examples", examples, name="examples"),
    path("strategies/import", import_files, name="import_strategies"),
    path("strategies/<id:name>", strategy, name="strategy"),
    path("strategies/<id:name>/diff", strategy_diff, name="strategy_diff"),
    path("strategies/<id:name>/save", save_version, name="save_version"),
    path("strategies/<id:name>/act/<id:act>", strategy_act, name="strategy_act"),
    path("studies", studies, name="studies"),
    path("studies/new", new_study, name="new_study"),
    path("studies/<id:study_id>", study, name="study"),
    path("studies/<id:study_id>/trials/<int:number>", study_trial, name="study_trial"),
    path("studies/<id:study_id>/<id:act>", study_act, name="study_act"),
    path("workers", workers, name="workers"),
    path("dispatch-pause", dispatch_pause, name="dispatch_pause"),
    path("workers/<id:worker_id>", worker, name="worker"),
    path("workers/<id:worker_id>/<id:act>", worker_act, name="worker_act"),
]
