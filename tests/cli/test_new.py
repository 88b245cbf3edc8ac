"""`hedgerow new`, and `hedgerow flash` in the folder that it makes."""

import asyncio
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import hedgerow

from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import STREAM
from hedgerow.errors import HedgerowError
from hedgerow_boards.board import Board
from hedgerow_boards.profiles import PROFILES
from hedgerow_cli.project import find_project, make_project
from hedgerow_gateway import LocalPeer, open_peer


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "greenhouse"
    make_project(folder, "esp32")
    return folder


def test_it_writes_a_project_that_flash_reads(tmp_path: Path) -> None:
    said = json.loads(hedgerow("new", "greenhouse", "--json", cwd=tmp_path).stdout)
    assert said == {
        "folder": "greenhouse",
        "files": ["README.md", "app.py", "hedgerow.toml", "test_app.py"],
    }
    project = find_project(tmp_path / "greenhouse")
    assert project is not None
    assert project.board == "esp32" and [file.name for file in project.files] == ["app.py"]
    assert project.settings["name"] == "greenhouse"
    sensor = project.settings["sensor"]
    assert (sensor["sda"], sensor["scl"]) == (PROFILES["esp32"].i2c_sda, PROFILES["esp32"].i2c_scl)
    assert 'profile="esp32"' in (tmp_path / "greenhouse" / "test_app.py").read_text()


def test_a_name_with_quotes_and_letters_of_the_world_is_kept(tmp_path: Path) -> None:
    name = 'süd "3" \U0001f331'
    make_project(tmp_path / name, "esp32")
    project = find_project(tmp_path / name)
    assert project is not None and project.settings["name"] == name


def test_flash_deploys_the_project_and_the_second_time_nothing(project: Path, tmp_path: Path) -> None:
    with Board("blank", tmp_path / "blank", profile="esp32") as board:
        board.power_on()
        command = ("flash", "--port", board.port, "--no-start", "--json")
        first = json.loads(hedgerow(*command, cwd=project).stdout)
        assert first["sent"] == first["files"] == 5
        assert board.mpremote("cat", ":/app.py").stdout == (project / "app.py").read_text()
        settings = json.loads(board.mpremote("cat", ":/hedgerow.json").stdout)
        found = find_project(project)
        assert found is not None and settings == found.settings
        again = json.loads(hedgerow(*command, cwd=project).stdout)
        assert (again["sent"], again["files"]) == (0, first["files"])
        with (project / "app.py").open("a") as file:
            file.write("# edited\n")
        edited = json.loads(hedgerow(*command, "--name", "other", cwd=project).stdout)
        assert edited["sent"] == 2, "the program, and the settings with another name"
        assert json.loads(board.mpremote("cat", ":/hedgerow.json").stdout)["name"] == "other"


@pytest.mark.parametrize(
    ("old", "new", "detail"),
    [
        ('board = "esp32"', "board = 3", "board is a text"),
        ('board = "esp32"', "bored = 3", "bored: not known"),
        ('files = ["app.py"]', 'files = ["../app.py"]', "files: '../app.py'"),
        ('files = ["app.py"]', 'files = ["main.py"]', "files: 'main.py'"),
        ('files = ["app.py"]', 'files = ["other.py"]', "other.py"),
        ("[settings]", "[settings", "hedgerow.toml: "),
    ],
)
def test_a_project_that_makes_no_sense_is_refused(project: Path, old: str, new: str, detail: str) -> None:
    path = project / "hedgerow.toml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(HedgerowError) as caught:
        find_project(project)
    assert caught.value.code == "PROJECT_INVALID" and detail in caught.value.detail


def test_a_program_that_does_not_compile_is_refused(project: Path) -> None:
    (project / "app.py").write_text("async def main(peer:\n")
    with pytest.raises(HedgerowError, match="app.py"):
        find_project(project)


def test_what_cannot_be_made_is_refused(project: Path, tmp_path: Path) -> None:
    assert hedgerow("new", str(project), status=1).stderr.startswith("PROJECT_DIRECTORY: ")
    (tmp_path / "file").write_text("")
    assert hedgerow("new", str(tmp_path / "file"), status=1).stderr.startswith("PROJECT_DIRECTORY: ")
    long_name = tmp_path / ("x" * 33)
    assert hedgerow("new", str(long_name), status=1).stderr.startswith("CONFIG_INVALID: name")
    refused = hedgerow("new", str(tmp_path / "x"), "--board", "pico", status=1)
    assert refused.stderr.startswith("PROFILE_UNKNOWN: ")
    assert not long_name.exists() and not (tmp_path / "x").exists()


def test_its_program_runs_on_this_machine_too(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Sensor:
        def read(self) -> Decimal:
            return Decimal(2050, -2)

    settings = {"sensor": {"address": 0x48}}
    monkeypatch.setattr(
        "hedgerow_device.sensor.open_sensor", lambda asked: [Sensor()][asked != settings["sensor"]]
    )
    main = runpy.run_path(str(project / "app.py"))["main"]

    async def run_for_a_moment(peer: LocalPeer) -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(main(peer), 0.2)

    with open_peer(project / "field.db", name="pi", kinds={"readings": STREAM}) as peer:
        peer.settings = settings
        asyncio.run(run_for_a_moment(peer))
        (row,) = peer.execute("SELECT board, celsius FROM readings").rows
        assert (row["board"], str(row["celsius"])) == ("pi", "20.50")


def test_its_own_test_passes_as_written(project: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=project, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
