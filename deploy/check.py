"""Looks at the files of this folder with whatever tools are here, and says which are not: `python deploy/check.py`.

What can be seen without a Docker daemon, a cluster or a Proxmox host: schemas and linters of each format, the images'
file trees put together and started, a wheel of the workers; and the code, by bandit. `make tools` installs what PyPI has.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOOLS = ROOT / ".venv" / "tools" / "bin"
COMPOSE = HERE / "compose.yml"
WITH_TOOLS = "make tools"
OLDEST_COMPOSE = (2, 24)
ROOMS = ("ktrdr_site", "registry", "operations", "worker_agent", "workers")


class Missing(Exception):
    """A tool that is not here, and how to get it."""


class Wrong(Exception):
    """What the tool found."""


def tool(name: str, how: str) -> str:
    found = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    if found is None:
        raise Missing(f"{name} is not installed ({how})")
    return found


def call(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """What the command wrote. Raises Wrong where it fails."""
    done = subprocess.run(  # noqa: S603  (command lines of this file)
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode:
        raise Wrong(f"{done.stdout}{done.stderr}".strip() or f"exit status {done.returncode}")
    return done.stdout + done.stderr


def compose_schema() -> None:
    call(tool("check-jsonschema", WITH_TOOLS), "--builtin-schema", "vendor.compose-spec", COMPOSE)


def compose_config() -> None:
    """As Compose itself reads it: variables, anchors, dependencies."""
    secrets = dict.fromkeys(("POSTGRES_PASSWORD", "KTRDR_SECRET_KEY", "KTRDR_WORKER_TOKEN"), "secret")
    options = ("--file", COMPOSE, "--env-file", HERE / "compose.env.example", "config", "--quiet")
    call(*_compose(), *options, **secrets)


def _compose() -> tuple[str, ...]:
    """Compose as Docker's plugin or by itself; version 1 knows neither `name` nor an `env_file` that may be missing."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is None:
            continue
        try:
            version = call(*command, "version", "--short")
        except Wrong:
            continue
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= OLDEST_COMPOSE:
            return command
    oldest = ".".join(map(str, OLDEST_COMPOSE))
    raise Missing(f"Compose {oldest} or newer is not installed (Docker with its compose plugin)")


def dockerfile() -> None:
    call(tool("hadolint", WITH_TOOLS), HERE / "Dockerfile")


def web_image() -> None:
    """The files that the Dockerfile copies into the web image, and no others, make a site that starts."""
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "image"
        for sources, target in copies("web"):
            for source in sources:
                _copy(ROOT / source, image / target, into=target.endswith("/"))
        data = Path(directory) / "data"
        call(sys.executable, "manage.py", "check", cwd=image, KTRDR_DATA_DIR=str(data), PYTHONPATH="")


def copies(stage: str) -> Iterator[tuple[list[str], str]]:
    """Each COPY of the stage from the build's own context: sources and target."""
    text = re.sub(r"\\\n", " ", (HERE / "Dockerfile").read_text())
    of_stage = text.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
    for line in of_stage.splitlines():
        if line.startswith("COPY ") and "--from=" not in line:
            *sources, target = line.split()[1:]
            yield sources, target


def _copy(source: Path, target: Path, *, into: bool) -> None:
    target = target / source.name if into else target
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target if into or not target.is_dir() else target / source.name)


def units() -> None:
    """With this interpreter in the place of the installed one, which `verify` would miss."""
    verify = tool("systemd-analyze", "the Debian package systemd")
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for unit in sorted((HERE / "systemd").glob("*.service")):
            name = unit.name.replace("@.", "@1.")
            text = re.sub(r"/opt/\S+/bin/(python|gunicorn)", sys.executable, unit.read_text())
            (Path(directory) / name).write_text(text)
            names.append(Path(directory) / name)
        if said := call(verify, "verify", "--recursive-errors=no", *names).strip():
            raise Wrong(said)


def shell_scripts() -> None:
    call(tool("shellcheck", WITH_TOOLS), *sorted((HERE / "lxc").glob("*.sh")), ROOT / ".ci" / "run")


def manifests() -> None:
    validate = tool("kubernetes-validate", WITH_TOOLS)
    files = [file for file in sorted((HERE / "kubernetes").glob("*.yaml")) if file.stem != "kustomization"]
    call(validate, "--strict", "--quiet", *files)


def wheel() -> None:
    """A worker's wheel holds the rooms of a worker, the files beside their code, and no room of the site."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "source"
        for name in ("pyproject.toml", "README.md", "LICENSE", "worker_agent", "workers"):
            _copy(ROOT / name, source / name, into=False)
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
        call(*pip, "--wheel-dir", directory, ".", cwd=source)
        (built,) = Path(directory).glob("*.whl")
        with zipfile.ZipFile(built) as archive:
            names = {name for name in archive.namelist() if ".dist-info/" not in name}
        code = {
            str(path.relative_to(ROOT))
            for room in ("worker_agent", "workers")
            for path in (ROOT / room).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
    if names != code:
        raise Wrong(f"in the wheel or in the tree alone: {', '.join(sorted(names ^ code))}")


def code() -> None:
    """Of medium severity and more. What is lower is ruff's to judge (rules S), and so is `mark_safe`, for which S308 has a reason asked at each line."""
    bandit = tool("bandit", WITH_TOOLS)
    call(
        bandit, "--quiet", "--recursive", "-ll", "--skip", "B308,B703", *ROOMS, "manage.py", HERE / "check.py"
    )


CHECKS: dict[str, Callable[[], None]] = {
    "compose.yml, by its schema": compose_schema,
    "compose.yml, as Compose reads it": compose_config,
    "Dockerfile": dockerfile,
    "the web image's files": web_image,
    "systemd units": units,
    "shell scripts": shell_scripts,
    "Kubernetes manifests": manifests,
    "the workers' wheel": wheel,
    "the code, by bandit": code,
}


def main() -> int:
    failed = 0
    for name, check in CHECKS.items():
        try:
            check()
        except Missing as missing:
            print(f"not checked: {name}: {missing}")
        except (Wrong, OSError, subprocess.TimeoutExpired) as wrong:
            failed += 1
            print(f"wrong: {name}:\n{wrong}")
        else:
            print(f"ok: {name}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
