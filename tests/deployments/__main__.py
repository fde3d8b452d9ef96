import argparse
import os
import shutil
import signal
import sys
import time

from tests.deployments.checkout import last_release
from tests.deployments.command import run
from tests.deployments.side_by_side import run_trials

TRIALS = ("systemd", "upgrade", "lxc", "compose")
"""The longest first."""
TOOLS = {
    "debootstrap": "debootstrap", "systemd-nspawn": "systemd-container", "slirp4netns": "slirp4netns",
    "iptables": "iptables", "lxc-start": "lxc", "ip": "iproute2", "git": "git", "mkfs.ext4": "e2fsprogs",
}  # fmt: skip
"""Command -> its Debian package."""


def install_tools() -> None:
    packages = [package for command, package in TOOLS.items() if shutil.which(command) is None]
    if packages:
        print(f"Installing Debian's packages {', '.join(packages)}", flush=True)
        run("apt-get", "update", "-qq")
        install = ("apt-get", "install", "-y", "-qq", "--no-install-recommends")
        run(*install, *packages, timeout_s=1200, variables={"DEBIAN_FRONTEND": "noninteractive"})


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make deploy-test", description=sys.modules["tests.deployments"].__doc__
    )
    parser.add_argument("trials", nargs="*", choices=[[], *TRIALS], help="all, if none is named")
    parser.add_argument(
        "--from", dest="release", metavar="COMMIT", default=last_release(),
        help="a tag or commit that the trial `upgrade` starts with (default: the last tag, here %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--at-once", type=int, choices=range(1, len(TRIALS) + 1), default=min(2, os.cpu_count() or 1),
        help="trials that run side by side (default: %(default)s)",
    )  # fmt: skip
    arguments = parser.parse_args()
    if os.geteuid():
        parser.error("only root may make network namespaces and mounts")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    install_tools()
    start = time.monotonic()
    outcomes = list(run_trials(arguments.trials or TRIALS, arguments.at_once, arguments.release))
    print(f"\n{time.strftime('%d %B %Y')}\n\n| deployment | what | seen |\n|---|---|---|")
    for outcome in outcomes:
        print(outcome.results.table())
    failed = sum(not outcome.passed for outcome in outcomes)
    minutes = (time.monotonic() - start) / 60
    print(
        f"\n{len(outcomes) - failed} passed, {failed} failed in {minutes:.1f} min, {arguments.at_once} at a time"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
