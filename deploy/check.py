"""Check deployments, hosted CI and code with the installed tools, and list missing tools: `python deploy/check.py`.

The checks need no Docker daemon, cluster or Proxmox host: schemas and linters of each format, the web image's file
tree assembled and started, the workers' wheel, and bandit for the code. `make tools` installs the tools from PyPI.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
TOOLS = ROOT / ".venv" / "tools" / "bin"
COMPOSE = HERE / "compose.yml"
GITHUB = ROOT / ".github"
WITH_TOOLS = "make tools"
OLDEST_COMPOSE = (2, 24)
NOT_IN_WHEELS = {"pyproject.toml", "README.md"}
KUBERNETES = ("1.31", "1.34", "1.37")
"""The versions of the API whose schemas the manifests must follow."""
ROOMS = (
    "ktrdr_site", "access", "registry", "operations", "strategies", "studies", "dashboard", "worker_agent", "workers",
    "client",
)  # fmt: skip


class MissingTool(Exception):
    """A tool is not installed; the message names its source."""


class CheckFailed(Exception):
    """The message is the tool's output."""


class Advice(Exception):
    """Nothing is wrong, but the message states what should be set for a deployment."""


def find_tool(name: str, source: str) -> str:
    path = shutil.which(name, path=f"{TOOLS}{os.pathsep}{os.environ.get('PATH', '')}")
    if path is None:
        raise MissingTool(f"{name} is not installed ({source})")
    return path


def call(*command: str | Path, cwd: Path = ROOT, **variables: str) -> str:
    """Run the command and return its output. Raises CheckFailed if it fails."""
    process = subprocess.run(  # noqa: S603  (command lines of this file)
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if process.returncode:
        raise CheckFailed(f"{process.stdout}{process.stderr}".strip() or f"exit status {process.returncode}")
    return process.stdout + process.stderr


def check_compose_schema() -> None:
    call(find_tool("check-jsonschema", WITH_TOOLS), "--builtin-schema", "vendor.compose-spec", COMPOSE)


def check_compose_config() -> None:
    """Let Compose itself read the file: variables, anchors, dependencies."""
    secrets = dict.fromkeys(("POSTGRES_PASSWORD", "KTRDR_SECRET_KEY", "KTRDR_WORKER_TOKEN"), "secret")
    options = ("--file", COMPOSE, "--env-file", HERE / "compose.env.example", "config", "--quiet")
    call(*_find_compose(), *options, **secrets)


def _find_compose() -> tuple[str, ...]:
    """Return the command of Compose, Docker's plugin or standalone; version 1 lacks `name` and optional `env_file`s."""
    for command in (("docker", "compose"), ("docker-compose",)):
        if shutil.which(command[0]) is None:
            continue
        try:
            version = call(*command, "version", "--short")
        except CheckFailed:
            continue
        if tuple(int(part) for part in re.findall(r"\d+", version)[:2]) >= OLDEST_COMPOSE:
            return command
    oldest = ".".join(map(str, OLDEST_COMPOSE))
    raise MissingTool(f"Compose {oldest} or newer is not installed (Docker with its compose plugin)")


def check_hosted_ci() -> None:
    command = find_tool("check-jsonschema", WITH_TOOLS)
    call(command, "--builtin-schema", "vendor.github-workflows", *(GITHUB / "workflows").glob("*.yml"))
    forms = [form for form in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml") if form.stem != "config"]
    call(command, "--builtin-schema", "vendor.github-issue-forms", *forms)


def check_dockerfile() -> None:
    call(find_tool("hadolint", WITH_TOOLS), HERE / "Dockerfile")


def check_base_images() -> None:
    """Advise on images without a digest: a tag may name another image tomorrow."""
    settings = HERE / "compose.env"
    path = settings if settings.exists() else HERE / "compose.env.example"
    if tags := images_without_digest(path.read_text()):
        raise Advice(
            f"{path.relative_to(ROOT)} names images by their tags: {', '.join(tags)}. Set them by digest "
            "(docker buildx imagetools inspect IMAGE shows it), and REQUIRE_DIGEST=on"
        )


def images_without_digest(settings: str) -> list[str]:
    """Return `NAME=IMAGE` of each image in the settings of Compose that has no complete digest."""
    images = re.findall(r"^([A-Z_]+_IMAGE)=(.*)$", settings, re.MULTILINE)
    return [
        f"{name}={image}" for name, image in images if not re.search(r"@sha256:[0-9a-f]{64}$", image.strip())
    ]


def check_build_context() -> None:
    """Require that .dockerignore keeps each file that the Dockerfile copies: the build fails on any other."""
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for stage in ("wheel", "web", "worker"):
        for sources, _ in copied_paths(stage):
            for source in sources:
                if not any(Path(source).is_relative_to(path) for path in kept):
                    raise CheckFailed(f"stage {stage} copies {source}, which .dockerignore leaves out")


def check_web_image() -> None:
    """Start the site from only the files that the Dockerfile copies into the web image."""
    with tempfile.TemporaryDirectory() as directory:
        image = Path(directory) / "image"
        for sources, target in copied_paths("web"):
            for source in sources:
                _copy(ROOT / source, image / target, into=target.endswith("/"))
        data = Path(directory) / "data"
        call(sys.executable, "manage.py", "check", cwd=image, KTRDR_DATA_DIR=str(data), PYTHONPATH="")


def copied_paths(stage: str) -> Iterator[tuple[list[str], str]]:
    """Yield sources and target of each COPY of the stage from the build context."""
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


def check_units() -> None:
    """Verify the units with this interpreter instead of the installed one, which does not exist here."""
    verify = find_tool("systemd-analyze", "the Debian package systemd")
    with tempfile.TemporaryDirectory() as directory:
        names = []
        for unit in sorted(
            unit for unit in (HERE / "systemd").iterdir() if unit.suffix in {".service", ".timer"}
        ):
            name = unit.name.replace("@.", "@1.")
            text = re.sub(r"/opt/\S+/bin/(python|gunicorn)", sys.executable, unit.read_text())
            (Path(directory) / name).write_text(text)
            names.append(Path(directory) / name)
        if output := call(verify, "verify", "--recursive-errors=no", *names).strip():
            raise CheckFailed(output)


def check_shell_scripts() -> None:
    call(
        find_tool("shellcheck", WITH_TOOLS),
        *sorted((HERE / "lxc").glob("*.sh")),
        HERE / "systemd" / "ktrdr",
        ROOT / ".ci" / "run",
    )


def check_manifests() -> None:
    validate = find_tool("kubernetes-validate", WITH_TOOLS)
    files = [file for file in sorted((HERE / "kubernetes").glob("*.yaml")) if file.stem != "kustomization"]
    versions = [f"--kubernetes-version={version}" for version in KUBERNETES]
    call(validate, *versions, "--strict", "--quiet", *files)


def check_wheels() -> None:
    """Check that each wheel contains all files of its packages, and no package of the site."""
    version = ("worker_agent/version.py",)
    check_wheel(ROOT / "worker_agent", ("",), {"": "worker_agent"})
    check_wheel(ROOT, ("pyproject.toml", "README.md", "LICENSE", "workers", *version), {"workers": "workers"})
    check_wheel(
        ROOT / "client", ("pyproject.toml", "README.md", "ktrdr_client"), {"ktrdr_client": "ktrdr_client"}
    )


def check_wheel(project: Path, parts: Sequence[str], packages: Mapping[str, str]) -> None:
    """`parts`: what the build needs. `packages`: folder of the project -> its name in the wheel."""
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory) / "source"
        for name in parts:
            _copy(project / name, source / name, into=False)
        pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation")
        call(*pip, "--wheel-dir", directory, ".", cwd=source)
        (wheel,) = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            names = {name for name in archive.namelist() if ".dist-info/" not in name}
        code = {
            str(Path(name) / path.relative_to(project / folder))
            for folder, name in packages.items()
            for path in (project / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.name not in NOT_IN_WHEELS
        }
    if names != code:
        raise CheckFailed(f"only in the wheel or only in the tree: {', '.join(sorted(names ^ code))}")


def check_code() -> None:
    """Report medium severity and above; ruff (rules S) judges the rest, and `mark_safe` (S308) and
    SQL put together from constants (S608) with a reason on each line."""
    bandit = find_tool("bandit", WITH_TOOLS)
    call(
        bandit,
        "--quiet",
        "--recursive",
        "-ll",
        "--skip",
        "B308,B608,B703",
        *ROOMS,
        "manage.py",
        HERE / "check.py",
    )


CHECKS: dict[str, Callable[[], None]] = {
    "compose.yml, schema": check_compose_schema,
    "compose.yml, read by Compose": check_compose_config,
    "Dockerfile": check_dockerfile,
    "base images": check_base_images,
    "files of the build context": check_build_context,
    "files of the web image": check_web_image,
    "systemd units": check_units,
    "shell scripts": check_shell_scripts,
    "Kubernetes manifests": check_manifests,
    "wheels of the workers and of the client": check_wheels,
    "workflow and issue forms, schemas": check_hosted_ci,
    "code, bandit": check_code,
}


def main() -> int:
    failures = 0
    for name, check in CHECKS.items():
        try:
            check()
        except MissingTool as missing:
            print(f"skipped: {name}: {missing}")
        except Advice as advice:
            print(f"warning: {name}: {advice}")
        except (CheckFailed, OSError, subprocess.TimeoutExpired) as error:
            failures += 1
            print(f"failed: {name}:\n{error}")
        else:
            print(f"ok: {name}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
