"""A wheel built from the project and installed elsewhere does all that the checkout does."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from cli_kit import first_json, interrupt, running

ROOT = Path(__file__).parents[2]
PACKAGES = ("shared", "firmware", "gateway", "bigpeer", "boards", "cli")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel's contents in a folder that comes before the checkout on the path."""
    source = tmp_path_factory.mktemp("source")
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(path, source / name)
    wheels = tmp_path_factory.mktemp("wheels")
    options = ["--no-deps", "--no-build-isolation", "--disable-pip-version-check", "--wheel-dir", str(wheels)]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", *options, str(source)]
    subprocess.run(command, check=True, capture_output=True, timeout=110)
    (wheel,) = wheels.glob("hedgerow-*.whl")
    target = tmp_path_factory.mktemp("elsewhere")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=installed,
        env={**os.environ, "PYTHONPATH": str(installed)},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_every_file_that_the_parts_need(installed: Path) -> None:
    wanted = {
        path.relative_to(ROOT / folder)
        for folder in PACKAGES
        for path in (ROOT / folder).rglob("hedgerow*/**/*")
        if path.is_file()
        and not {"__pycache__", ".ruff_cache"} & set(path.parts)
        and "egg-info" not in str(path)
    }
    held = {path.relative_to(installed) for path in installed.rglob("*") if path.is_file()}
    assert len(wanted) > 100
    assert sorted(wanted - held) == []


def test_help_comes_from_it(installed: Path) -> None:
    assert "Usage: hedgerow" in run(installed, "-m", "hedgerow_cli", "--help")
    where = "import hedgerow_cli, hedgerow_boards, hedgerow; print(hedgerow_cli.__file__, hedgerow.__file__)"
    assert run(installed, "-c", where).count(str(installed)) == 2


def test_it_emulates_and_flashes(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed))
    monkeypatch.chdir(installed)
    with running("emulate", "--json", log=tmp_path / "log") as process:
        port = first_json(process)["boards"][0]["port"]
        report = json.loads(run(installed, "-m", "hedgerow_cli", "flash", "--port", port, "--json"))
        assert report["sent"] == report["files"] == 4
        assert interrupt(process) == 0
