"""`ktrdr upload` and `ktrdr secrets`."""

import sys
from argparse import SUPPRESS, ArgumentParser, Namespace
from getpass import getpass
from pathlib import Path

from ktrdr_client.cli.output import COMPLETED, show, show_json, show_table
from ktrdr_client.sync.client import Client


def add_upload(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--name", help="store it under this name; default: that of the file")
    parser.set_defaults(run=upload)


def upload(client: Client, options: Namespace) -> int:
    show(client.uploads.send(options.file, options.name).id)
    return COMPLETED


def add_secrets(parser: ArgumentParser) -> None:
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    listed = acts.add_parser("list", help="list the secrets of jobs, without their values")
    listed.add_argument("--json", action="store_true")
    listed.set_defaults(run=list_secrets)
    stored = acts.add_parser(
        "set", help="create or change a secret; the value is asked for, or read from the standard input"
    )
    stored.add_argument("name", metavar="NAME")
    stored.add_argument("forbidden", nargs="*", help=SUPPRESS)
    stored.add_argument(
        "--worker-type",
        dest="worker_types",
        action="append",
        metavar="TYPE",
        help="workers whose jobs may read it (repeatable; replaces the stored ones)",
    )
    stored.add_argument("--keep-value", action="store_true", help="change only the worker types")
    stored.set_defaults(run=set_secret)
    deleted = acts.add_parser(
        "delete", help="delete secrets; operations whose jobs need them fail from then on"
    )
    deleted.add_argument("names", nargs="+", metavar="NAME")
    deleted.set_defaults(run=delete_secrets)


def list_secrets(client: Client, options: Namespace) -> int:
    rows = client.secrets.find()
    if options.json:
        show_json(rows)
        return COMPLETED
    cells = [
        (
            row["name"],
            ", ".join(row["worker_types"]) or "none",
            row["last_read_at"] or "never",
            "" if row["is_readable"] else "encrypted with another secret key",
        )
        for row in rows
    ]
    show_table(("NAME", "WORKER TYPES", "LAST READ", "PROBLEM"), cells)
    return COMPLETED


def set_secret(client: Client, options: Namespace) -> int:
    if options.forbidden:
        raise ValueError(
            "a value must not be an argument, which every user of this machine can read; "
            "omit it to be asked for it, or send it to the standard input"
        )
    value = None if options.keep_value else _read_value(options.name)
    secret = client.secrets.set(options.name, value, options.worker_types)
    readers = ", ".join(secret["worker_types"]) or "none"
    show(f"{secret['name']} is stored; worker types that may read it: {readers}")
    return COMPLETED


def _read_value(name: str) -> str:
    """Return the value without its last line break. Raises ValueError if it is not UTF-8 text."""
    if sys.stdin.isatty():
        return getpass(f"Value of {name}: ")
    try:
        return sys.stdin.read().removesuffix("\n")
    except UnicodeDecodeError:
        pass  # its arguments contain the value
    raise ValueError(f"the value of {name} is not UTF-8 text")


def delete_secrets(client: Client, options: Namespace) -> int:
    for name in options.names:
        client.secrets.delete(name)
        show(f"{name} deleted")
    return COMPLETED
