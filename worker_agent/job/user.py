"""The user as which jobs run, if it is another than the agent's: `KTRDR_JOB_USER`.

The agent then needs the privileges to change users, and a job has none: it reads the code, its inputs and its own folder,
but no file of the agent, and it can signal neither the agent nor the keeper of its process.
"""

import os
import pwd
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from worker_agent.job import linux

VARIABLE = "KTRDR_JOB_USER"
NEEDED = {"CHOWN": 0, "DAC_OVERRIDE": 1, "FOWNER": 3, "KILL": 5, "SETGID": 6, "SETUID": 7}
"""Capability -> its number in linux/capability.h."""
CHECK_S = 60.0


class UnusableJobUser(Exception):
    """The message states why jobs cannot run as this user."""


@dataclass(frozen=True, slots=True)
class JobUser:
    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]

    def own(self, path: Path) -> None:
        """Give a file or folder to the user, who alone may then use it."""
        os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def create_home(self) -> Path:
        """Create a folder for the caches and temporary files of one job; the caller removes it."""
        home = Path(tempfile.mkdtemp(prefix="ktrdr-job-"))
        self.own(home)
        return home

    def become(self, home: Path) -> None:
        """Make this process the user's, without a way back. Raises OSError, UnusableJobUser."""
        linux.forbid_new_privileges()
        os.setgroups(self.groups)
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        linux.drop_capabilities()
        linux.allow_inspection()
        if os.getresuid() != (self.uid,) * 3 or os.getresgid() != (self.gid,) * 3 or linux.capabilities():
            raise UnusableJobUser(f"the process could not become {self.name} for good")
        variables = ("HOME", "TMPDIR", "NUMBA_CACHE_DIR")
        os.environ.update(dict.fromkeys(variables, str(home)), USER=self.name, LOGNAME=self.name)
        tempfile.tempdir = None
        _leave_the_cache_of_compiled_code()

    def check(self, directory: Path) -> None:
        """Start a process as the user, and let it import the code and enter the folder. Raises UnusableJobUser.

        As a job it has no capabilities, which would survive the change of the user if the agent is not root.
        """
        code = "import os, sys; import worker_agent.job.main; os.chdir(sys.argv[1])"
        try:
            ended = subprocess.run(  # noqa: S603  (our own command line)
                [sys.executable, "-c", code, str(directory)],
                cwd="/",
                env={"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONDONTWRITEBYTECODE": "1"},
                user=self.uid,
                group=self.gid,
                extra_groups=self.groups,
                preexec_fn=linux.drop_capabilities,
                capture_output=True,
                text=True,
                timeout=CHECK_S,
                check=False,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise UnusableJobUser(f"{self.name} cannot start {sys.executable}: {error}") from error
        if ended.returncode:
            problem = (ended.stderr.strip() or f"exit status {ended.returncode}").splitlines()[-1]
            raise UnusableJobUser(
                f"{self.name} cannot read the code, or enter {directory}; give everybody the right to enter the "
                f"folders above: {problem}"
            )


def job_user() -> JobUser | None:
    """Return the user that the environment names, None if jobs run as the agent's user. Raises UnusableJobUser."""
    name = os.environ.get(VARIABLE, "").strip()
    if not name:
        return None
    if sys.platform != "linux":
        raise UnusableJobUser("jobs can run as another user only on Linux")
    if missing := missing_capabilities():
        raise UnusableJobUser(
            f"the agent may not change users; run it as root or with the capabilities {', '.join(missing)}"
        )
    try:
        entry = pwd.getpwuid(int(name)) if name.isdecimal() else pwd.getpwnam(name)
    except (KeyError, OverflowError):
        raise UnusableJobUser(
            f"the user {name[:80]} does not exist; create it with useradd --system"
        ) from None
    groups = tuple(sorted({entry.pw_gid, *os.getgrouplist(entry.pw_name, entry.pw_gid)}))
    if entry.pw_uid in (0, os.geteuid()):
        raise UnusableJobUser(f"{entry.pw_name} is root or the agent's own user; name one without privileges")
    if not {0, os.getegid()}.isdisjoint(groups):
        raise UnusableJobUser(
            f"{entry.pw_name} is in the group of root or of the agent, whose files it could read"
        )
    return JobUser(entry.pw_name, entry.pw_uid, entry.pw_gid, groups)


def missing_capabilities() -> list[str]:
    """Return the names of those that the agent needs for jobs of another user and lacks."""
    return [name for name, number in NEEDED.items() if not linux.capabilities() >> number & 1]


def _leave_the_cache_of_compiled_code() -> None:
    """Functions that were loaded before have the agent's cache, and numba fails if it may not read and write there."""
    caching = sys.modules.get("numba.core.caching")
    if caching is not None:
        caching.Cache.load_overload = lambda cache, signature, target: None
        caching.Cache.save_overload = lambda cache, signature, data: None
