import argparse
import importlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable

from tests.deployments.checkout import last_release
from tests.deployments.command import TrialFailed, run
from tests.deployments.leftovers import adopt_orphans, interfaces, require_nothing_left
from tests.deployments.results import Results

TRIALS = ("systemd", "upgrade", "compose", "lxc")
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
    arguments = parser.parse_args()
    names = arguments.trials or TRIALS
    if os.geteuid():
        parser.error("only root may make network namespaces and mounts")
    # As Ctrl-C: every mount, namespace and machine is removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    install_tools()
    adopt_orphans()
    done, failed = [], []
    for name in names:
        results, start = Results(name), time.monotonic()
        trial: Callable[..., None] = importlib.import_module(f"tests.deployments.{name}").trial
        before = interfaces()
        try:
            trial(results, **({"release": arguments.release} if name == "upgrade" else {}))
            require_nothing_left(before)
        except Exception as error:
            failed.append(name)
            if not isinstance(error, TrialFailed):
                traceback.print_exc()
            print(f"{name}: FAILED: {error}", flush=True)
        results.add("duration", f"{(time.monotonic() - start) / 60:.1f} min")
        done.append(results)
    print(f"\n{time.strftime('%d %B %Y')}\n\n| deployment | what | seen |\n|---|---|---|")
    for results in done:
        print(results.table())
    print(f"\n{len(done) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
