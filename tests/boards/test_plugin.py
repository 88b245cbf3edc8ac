"""The fixtures of the package, as a project's own tests have them."""

import subprocess
import sys
from pathlib import Path

PROJECT = """
def test_fails(board):
    board.mpremote("exec", "--no-follow", "import time; time.sleep(2); print('what was', 'printed')")
    board.wait_for("what was printed", 10)
    assert board.pin(2) == 1


def test_passes(boards):
    boards(2, on=False)
"""


def test_the_report_of_a_failed_test_has_what_its_boards_printed(tmp_path: Path) -> None:
    (tmp_path / "test_project.py").write_text(PROJECT)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            str(tmp_path / "t"),
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=tmp_path,
    )
    assert "1 failed, 1 passed" in done.stdout, done.stdout + done.stderr
    shown = done.stdout.partition("console of board1")[2]
    assert "what was printed" in shown
    assert done.stdout.count("console of ") == 1
