"""`ktrdr COMMAND`: submit, follow, list, runs, cancel, schedules, import, export, copy, upload, secrets, workers.

The site is KTRDR_URL, the token KTRDR_TOKEN.
"""

import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence

import httpx

from ktrdr_client.cli.copying import add_copy
from ktrdr_client.cli.following import follow
from ktrdr_client.cli.listing import add_cancel, add_export, add_list, add_runs, add_workers
from ktrdr_client.cli.output import FAILED, warn
from ktrdr_client.cli.scheduling import add_schedules
from ktrdr_client.cli.storing import add_secrets, add_upload
from ktrdr_client.cli.submitting import add_import, add_submit
from ktrdr_client.problems import ClientError
from ktrdr_client.sync.client import Client
from ktrdr_client.version import VERSION


def add_follow(parser: ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="of an operation, a study or a seed run")
    parser.set_defaults(run=follow)


COMMANDS: dict[str, tuple[str, Callable[[ArgumentParser], None]]] = {
    "submit": ("submit a training, backtest, study or other operation", add_submit),
    "follow": (
        "show progress and metrics until it ends, then its result; exit 0 completed, 1 failed, 3 cancelled",
        add_follow,
    ),
    "list": ("list operations, newest first", add_list),
    "runs": ("rank runs by a metric, and write them as a table", add_runs),
    "cancel": ("cancel operations", add_cancel),
    "schedules": ("list, pause, resume and delete schedules, and list their due times", add_schedules),
    "import": ("import a file of bars", add_import),
    "export": ("write bars to a file", add_export),
    "copy": ("copy market data and strategies from another site to this one", add_copy),
    "upload": ("store a file for use as an input of operations, and print its id", add_upload),
    "secrets": ("list, store and delete the secrets of jobs", add_secrets),
    "workers": ("list the workers", add_workers),
}


def parser() -> ArgumentParser:
    described = ArgumentParser(prog="ktrdr", description=__doc__)
    described.add_argument("--version", action="version", version=VERSION)
    described.add_argument("--url", help="address of the site; default: KTRDR_URL")
    commands = described.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (text, add) in COMMANDS.items():
        add(commands.add_parser(name, help=text, description=text))
    return described


def main(arguments: Sequence[str] | None = None, transport: httpx.BaseTransport | None = None) -> int:
    """Run one command; return its exit status."""
    options = parser().parse_args(arguments)
    options.connect = lambda url, token: Client(url, token, transport=transport)
    try:
        with Client(options.url, transport=transport) as client:
            return int(options.run(client, options))
    except (ClientError, OSError, ValueError) as error:
        warn(f"ktrdr: {error}")
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
