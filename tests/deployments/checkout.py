"""The repository that the guides clone from."""

from pathlib import Path

from tests.deployments.command import run
from tests.stack.system import ROOT

IDENTITY = ("-c", "user.name=trial", "-c", "user.email=trial@localhost")
REPOSITORY = "/srv/ktrdr.git"
"""Its path on the machines."""
MAIN = "refs/heads/main"


def clone_to(root: Path, repository: str) -> None:
    """Put the present commit of this checkout into a machine, as the branch main of a bare repository."""
    target = root / repository.removeprefix("/")
    run("git", "clone", "--quiet", "--bare", "--depth=1", f"file://{ROOT}", target)
    run("git", "-C", target, "update-ref", MAIN, "HEAD")
    run("git", "-C", target, "symbolic-ref", "HEAD", MAIN)


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
