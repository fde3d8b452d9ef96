"""Images of others are named by digest where the deployment's settings do so, and `make check` warns where not."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
DIGEST = f"@sha256:{'0a' * 32}"


@pytest.fixture
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("deployment_check", DEPLOY / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("image", "is_pinned"),
    [
        (f"python:3.11-slim{DIGEST}", True),
        (f"python{DIGEST}", True),
        (f"mirror.example:5000/python:3.11{DIGEST} ", True),
        ("python:3.11-slim", False),
        ("python:3.11-slim@sha256:", False),
        (f"python{DIGEST[:-1]}", False),
        (f"python{DIGEST}0", False),
        (f"python{DIGEST}-slim", False),
        ("", False),
    ],
)
def test_an_image_without_a_complete_digest_is_named(check: ModuleType, image: str, is_pinned: bool) -> None:
    settings = f"A=1\nPOSTGRES_IMAGE=postgres:16{DIGEST}\nPYTHON_IMAGE={image}\nB=2\n"
    assert check.images_without_digest(settings) == ([] if is_pinned else [f"PYTHON_IMAGE={image}"])


def test_the_example_warns_about_every_image_of_others(check: ModuleType) -> None:
    with pytest.raises(check.Advice, match=r"PYTHON_IMAGE=python:3.11-slim.*REQUIRE_DIGEST=on"):
        check.check_base_images()
    compose = (DEPLOY / "compose.yml").read_text()
    own = ("ktrdr-web", "ktrdr-worker")
    images = [line.split("image: ")[1] for line in compose.splitlines() if line.strip().startswith("image: ")]
    assert [image for image in images if image not in own] == ["${POSTGRES_IMAGE:-postgres:16}"]
