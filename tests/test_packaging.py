"""What `pip install` gets: everything it needs, and nothing that needs Node."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BROWSER_SIDE = {
    f"msq_jupyter/widgets/static/{name}.{kind}" for name in ("badge", "panel", "textArea") for kind in ("js", "css")
}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An sdist, and the wheel that is built from it as pip does, in a folder without Node's modules."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.tar.gz")), next(folder.glob("*.whl"))


def test_the_wheel_holds_the_browser_side_and_the_types(archives):
    with zipfile.ZipFile(archives[1]) as wheel:
        names = set(wheel.namelist())
    assert names >= BROWSER_SIDE | {"msq_jupyter/py.typed", "msq_jupyter/__init__.py"}
    assert not [name for name in names if name.startswith(("tests/", "js/"))]


def test_the_wheel_enables_the_extension_of_the_jupyter_server(archives):
    with zipfile.ZipFile(archives[1]) as wheel:
        (name,) = [name for name in wheel.namelist() if name.endswith("jupyter_server_config.d/msq_jupyter.json")]
        assert name.partition("/")[2] == "data/etc/jupyter/jupyter_server_config.d/msq_jupyter.json"
        enabled = json.loads(wheel.read(name))["ServerApp"]["jpserver_extensions"]
    assert enabled == {"msq_jupyter.server_extension": True}


def test_the_sdist_holds_what_the_documentation_is_built_from(archives):
    with tarfile.open(archives[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= {"mkdocs.yml", "docs/index.md", "docs/generated.py", "docs/pictures/who.svg"}


def test_the_sdist_holds_the_browser_side_its_source_and_the_tests(archives):
    with tarfile.open(archives[0]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert names >= BROWSER_SIDE | {"js/src/badge.tsx", "js/package-lock.json", "tests/test_packaging.py", "LICENSE"}
    assert "deploy/Containerfile" in names
    assert not [name for name in names if "node_modules" in name or "/artifacts/" in name]
