"""The account under which the server runs. PostgreSQL refuses to run as root, so root starts it under another one.

Nothing outside our own directory changes its mode or owner. If that account cannot enter a folder above our directory
(`/root` is 0700, and so is every `mktemp -d`), the server process keeps one capability: to read and search files as
root does.
"""

import ctypes
import os
import pwd
import stat
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

CAP_DAC_OVERRIDE = 1
CAP_DAC_READ_SEARCH = 2
CAP_SETPCAP = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 1 << 2
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAPABILITY_VERSION_3 = 0x20080522


class NoAccountError(Exception):
    """No account can run the server here. The message is one sentence for people."""


@dataclass(frozen=True, slots=True)
class Account:
    uid: int
    gid: int
    name: str


def server_account(directory: Path) -> Account | None:
    """Return the account that owns, or will own, `directory`; None if the current user runs the server."""
    if os.geteuid() != 0:
        return None
    owner = directory.stat().st_uid if directory.exists() else 0
    if owner != 0:
        return _account(pwd.getpwuid(owner))
    for name in ("postgres", "nobody"):
        try:
            return _account(pwd.getpwnam(name))
        except KeyError:
            continue
    raise NoAccountError(
        "PostgreSQL does not run as root, and this system has neither a user postgres nor nobody; "
        "start as another user or set KTRDR_DATABASE_URL"
    )


def _account(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_uid, entry.pw_gid, entry.pw_name)


def current_user() -> str:
    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        raise NoAccountError(
            f"PostgreSQL needs a user name, and user id {os.geteuid()} has none; "
            "add it to /etc/passwd or set KTRDR_DATABASE_URL"
        ) from None


def reachable(path: Path, account: Account) -> bool:
    """Return whether the account may read `path` and enter every folder above it (by permission bits only)."""
    return all(_allows(parent, account, stat.S_IXOTH) for parent in path.parents) and _allows(
        path, account, stat.S_IROTH
    )


def _allows(path: Path, account: Account, other_bit: int) -> bool:
    status = path.stat()
    if status.st_uid == account.uid:
        return bool(status.st_mode & other_bit << 6)
    if status.st_gid == account.gid:
        return bool(status.st_mode & other_bit << 3)
    return bool(status.st_mode & other_bit)


def needed_capability(paths: Iterable[Path], account: Account) -> int | None:
    """Return the capability that the account needs to reach all `paths`; None if it needs none. Raises NoAccountError."""
    hidden = [path for path in paths if not reachable(path, account)]
    if not hidden:
        return None
    held = _permitted_capabilities()
    for capability in (CAP_DAC_READ_SEARCH, CAP_DAC_OVERRIDE):
        if held >> capability & held >> CAP_SETPCAP & 1:
            return capability
    raise NoAccountError(
        f"PostgreSQL does not run as root, and its user {account.name} cannot reach {hidden[0]}; "
        "move the clone and the data directory to a place that this user may enter, or set KTRDR_DATABASE_URL"
    )


def _permitted_capabilities() -> int:
    if sys.platform != "linux":
        return 0
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapPrm:"):
            return int(line.split()[1], 16)
    return 0


class _CapabilityHeader(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _CapabilitySets(ctypes.Structure):
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


def switch_to(account: Account | None, capability: int | None) -> Callable[[], None]:
    """Return a `preexec_fn` that switches to the account and keeps only this capability."""
    library = ctypes.CDLL(None, use_errno=True)

    def enter() -> None:
        if account is None:
            return
        if capability is not None:
            # Without it access(2), which PostgreSQL uses to find its own files, ignores the capability of a non-root user.
            _check(library.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0))
        os.setgroups([])
        os.setresgid(account.gid, account.gid, account.gid)
        os.setresuid(account.uid, account.uid, account.uid)
        if capability is not None:
            _keep(library, capability)

    return enter


def _keep(library: ctypes.CDLL, capability: int) -> None:
    header = _CapabilityHeader(CAPABILITY_VERSION_3, 0)
    sets = (_CapabilitySets * 2)()
    bit = 1 << capability
    sets[0] = _CapabilitySets(bit, bit, bit)
    _check(library.capset(ctypes.byref(header), sets))
    _check(library.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0))


def _check(result: int) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
