"""Files of the site belong to its user only, whatever the file mode mask of the shell."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stack.system import environment

ROOT = Path(__file__).resolve().parents[2]


PROGRAMS = {
    "manage.py": ["manage.py", "help"],
    "gunicorn": ["-c", "import ktrdr_site.wsgi"],
    "a command": ["manage.py", "diffsettings"],
}
MASKS = {"manage.py": (0o000, 0o002, 0o022, 0o077), "gunicorn": (0o000, 0o077), "a command": (0o000, 0o077)}


@pytest.mark.parametrize(
    ("program", "mask"),
    [pytest.param(name, mask, id=f"{mask:#o}-{name}") for name in PROGRAMS for mask in MASKS[name]],
)
def test_the_data_directory_and_the_secret_key_are_private(program: str, mask: int, tmp_path: Path) -> None:
    home = tmp_path / "srv"
    subprocess.run(
        [sys.executable, *PROGRAMS[program]],
        cwd=ROOT,
        env=environment(KTRDR_DATA_DIR=str(home / "data")),
        check=True,
        capture_output=True,
        umask=mask,
    )
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in (home / "data", home / "data" / "secret-key")
    }
    assert modes == {"data": 0o700, "secret-key": 0o600}
