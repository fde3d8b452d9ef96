"""The repository that the guides clone from."""

from pathlib import Path

from tests.deployments.command import run
from tests.stack.system import ROOT

IDENTITY = ("-c", "user.name=trial", "-c", "user.email=trial@localhost")
REPOSITORY = "/srv/ktrdr.git"
"""Its path on the machines."""
MAIN = "refs/heads/main"


FIRST = "cd86fa3728a74d5604e2c1ace95c00897ea0266d"
"""The first commit whose guide marks its commands; upgrades are rehearsed from it until there is a tag."""


def last_release() -> str:
    """Return the newest tag before this checkout's commit, or FIRST."""
    if not run("git", "-C", ROOT, "tag", "--merged", "HEAD^").strip():
        return FIRST
    return run("git", "-C", ROOT, "describe", "--tags", "--abbrev=0", "HEAD^").strip()


def commit_of(revision: str) -> str:
    """Return the full hash. Raises TrialFailed if this checkout's history does not have the revision."""
    return run("git", "-C", ROOT, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}").strip()


def file_at(path: str, commit: str = "") -> str:
    """Return the text of a file at a commit, or of this checkout as it is."""
    return run("git", "-C", ROOT, "show", f"{commit}:{path}") if commit else (ROOT / path).read_text()


def clone_to(root: Path, repository: str, commit: str = "") -> None:
    """Put this checkout's present commit, or an earlier one, into a machine as the branch main of a bare repository."""
    target = root / repository.removeprefix("/")
    depth = () if commit else ("--depth=1",)
    run("git", "clone", "--quiet", "--bare", *depth, f"file://{ROOT}", target)
    move_to(root, repository, commit or "HEAD")
    run("git", "-C", target, "symbolic-ref", "HEAD", MAIN)


def move_to(root: Path, repository: str, commit: str) -> None:
    """Let the branch main be at a commit that the repository has."""
    run("git", "-C", root / repository.removeprefix("/"), "update-ref", MAIN, commit)


def commit_change(root: Path, repository: str) -> None:
    """Add a commit that changes the code of web and workers."""
    target = root / repository.removeprefix("/")
    git = ("git", "-C", target, *IDENTITY)
    file = "worker_agent/__init__.py"
    changed = run(*git, "show", f"{MAIN}:{file}") + "# A change.\n"
    blob = run(*git, "hash-object", "-w", "--stdin", stdin=changed).strip()
    index = {"GIT_INDEX_FILE": str(target / "trial.index")}
    run(*git, "read-tree", MAIN, variables=index)
    run(*git, "update-index", "--cacheinfo", f"100644,{blob},{file}", variables=index)
    tree = run(*git, "write-tree", variables=index).strip()
    commit = run(*git, "commit-tree", "-p", MAIN, "-m", "Change a file", tree).strip()
    run(*git, "update-ref", MAIN, commit)
