"""`ktrdr schedules`: list, pause, resume and delete schedules, and list their due times."""

from argparse import ArgumentParser, Namespace
from datetime import UTC, datetime

from ktrdr_client.cli.output import COMPLETED, show, show_json, show_table
from ktrdr_client.sync.client import Client


def add_schedules(parser: ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    listed = acts.add_parser("list", help="list schedules, newest first")
    listed.set_defaults(run=list_schedules)
    for name, text, run in (
        ("pause", "submit nothing until it is resumed", pause),
        ("resume", "continue with the next due time", resume),
        ("delete", "delete schedules; their operations stay", delete),
    ):
        act = acts.add_parser(name, help=text)
        act.add_argument("ids", nargs="+", metavar="ID")
        act.set_defaults(run=run)
    acts.choices["pause"].add_argument("--reason", default="")
    runs = acts.add_parser("runs", help="list the due times of a schedule with their outcomes, newest first")
    runs.add_argument("id", metavar="ID")
    runs.set_defaults(run=list_runs)
    for lists in (listed, runs):
        lists.add_argument("--limit", type=int, default=20, help="at most so many (%(default)s)")
        lists.add_argument("--json", action="store_true")


def list_schedules(client: Client, options: Namespace) -> int:
    rows = [schedule.data for schedule in client.schedules.find(options.limit)]
    if options.json:
        show_json(rows)
        return COMPLETED
    cells = [
        (
            row["schedule_id"],
            "paused" if row["paused_at"] else minute(row["next_run_at"]),
            row["cron"],
            row["time_zone"],
            row["created_by"],
            row["name"],
            row["pause_reason"] or row["problem"],
        )
        for row in rows
    ]
    show_table(("ID", "NEXT (UTC)", "TIMES", "TIME ZONE", "OWNER", "NAME", "PROBLEM"), cells)
    return COMPLETED


def list_runs(client: Client, options: Namespace) -> int:
    rows = client.schedules.get(options.id).runs(options.limit)
    if options.json:
        show_json(rows)
        return COMPLETED
    cells = [(minute(row["due_at"]), row["outcome"], row["operation_id"], row["detail"]) for row in rows]
    show_table(("DUE (UTC)", "OUTCOME", "OPERATION", "DETAIL"), cells)
    return COMPLETED


def pause(client: Client, options: Namespace) -> int:
    for schedule_id in options.ids:
        show(f"{client.schedules.get(schedule_id).pause(options.reason).id} paused")
    return COMPLETED


def resume(client: Client, options: Namespace) -> int:
    for schedule_id in options.ids:
        schedule = client.schedules.get(schedule_id).resume()
        show(f"{schedule.id} is due at {minute(schedule.data['next_run_at'])} UTC")
    return COMPLETED


def delete(client: Client, options: Namespace) -> int:
    for schedule_id in options.ids:
        client.schedules.get(schedule_id).delete()
        show(f"{schedule_id} deleted")
    return COMPLETED


def minute(text: str) -> str:
    """Return a time of the API in UTC: `2026-01-31 06:30`."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M}"
