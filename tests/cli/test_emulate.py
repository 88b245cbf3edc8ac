"""`hedgerow emulate`: ports that real mpremote talks to, and nothing left behind."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import children, first_json, gone, hedgerow, interrupt, running

from hedgerow_cli.flashing.side_channel import socket_of


def sockets(ports: list[str]) -> set[tuple[Path, int]]:
    """The sockets beside these ports, and when each was made: a port's name is soon another board's."""
    return {(path, path.stat().st_ctime_ns) for path in map(socket_of, ports) if path.exists()}


def mpremote(port: str, *arguments: str) -> str:
    command = [sys.executable, "-m", "mpremote", "connect", port, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_boards_answer_mpremote_and_end_with_ctrl_c(tmp_path: Path) -> None:
    with running("emulate", "--boards", "3", "--json", log=tmp_path / "log") as process:
        shown = first_json(process)
        ports = [board["port"] for board in shown["boards"]]
        assert len(set(ports)) == 3
        assert Path(shown["air"]).is_socket()
        for port in ports:
            assert mpremote(port, "eval", "6 * 7") == "42\n"
            assert "boot.py" in mpremote(port, "ls")
        vms, beside = children(process.pid), sockets(ports)
        assert len(vms) >= 3
        assert len(beside) == 3
        assert interrupt(process) == 0
    assert gone(vms)
    assert not Path(shown["air"]).exists()
    assert not beside & sockets(ports)


def test_a_killed_emulator_leaves_no_board(tmp_path: Path) -> None:
    with running("emulate", "--boards", "2", "--json", log=tmp_path / "log") as process:
        first_json(process)
        vms = children(process.pid)
        process.kill()
        process.wait()
    assert vms
    if sys.platform == "linux":
        assert gone(vms)


def test_a_directory_keeps_the_boards_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["emulate", "--json", "--directory", "boards"]
    write = "with open('kept.txt', 'w') as file:\n    file.write('here')"
    for action in (["exec", write], ["cat", ":kept.txt"]):
        with running(*arguments, log=tmp_path / "log") as process:
            printed = mpremote(first_json(process)["boards"][0]["port"], *action)
            assert interrupt(process) == 0
    assert printed == "here"


def test_two_processes_do_not_share_a_directory(tmp_path: Path) -> None:
    arguments = ["emulate", "--json", "--directory", str(tmp_path / "boards")]
    with running(*arguments, log=tmp_path / "log") as process:
        first_json(process)
        refused = hedgerow(*arguments[:1], *arguments[2:], status=1).stderr
        assert refused.startswith("EMULATOR_DIRECTORY: ")
        process.kill()
        process.wait()
    with running(*arguments, log=tmp_path / "log") as process:
        assert first_json(process)["boards"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--profile", "pico"], "PROFILE_UNKNOWN"),
        (["--data", "/no/such/file.csv"], "SERIES_INVALID"),
    ],
)
def test_what_cannot_be_emulated_is_refused(arguments: list[str], code: str) -> None:
    assert hedgerow("emulate", *arguments, status=1).stderr.startswith(f"{code}: ")
