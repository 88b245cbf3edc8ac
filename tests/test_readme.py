"""What the README shows works as it stands there."""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")

BLINK = """
from machine import Pin
Pin(2, Pin.OUT).on()
"""
LOGGER = """
import os
boots = len([name for name in os.listdir() if name.startswith("boot-")])
open("boot-%d.txt" % boots, "w").close()
if boots:
    print("recovered", boots, "boots")
while True:
    with open("log.txt", "a") as file:
        file.write("a line\\n")
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_fixtures_of_users_tests(tmp_path: Path) -> None:
    (example,) = [block for block in blocks("python") if "def test_" in block]
    (tmp_path / "test_mine.py").write_text(example)
    (tmp_path / "blink.py").write_text(BLINK)
    (tmp_path / "logger.py").write_text(LOGGER)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_a_peer_in_three_lines(tmp_path: Path) -> None:
    (example,) = [block for block in blocks("python") if "open_peer" in block]
    # Nobody listens at the address: it records all the same, and ends.
    program = (
        example.replace(":8080/", ":9/") + "print(peer.execute('SELECT gate, count FROM visits').rows)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "[{'gate': 'north', 'count': 3}]\n" and (tmp_path / "field.db").exists()


def test_the_demos_last_line_has_the_keys_that_it_has() -> None:
    (shown,) = blocks("json")
    source = (ROOT / "cli/hedgerow_cli/demo/run.py").read_text(encoding="utf-8")
    findings = (ROOT / "cli/hedgerow_cli/demo/audit.py").read_text(encoding="utf-8")
    keys = list(json.loads(shown))
    assert len(keys) == 18
    assert not [key for key in keys if f'"{key}"' not in source and f"    {key}: int" not in findings]


def test_every_file_that_it_points_to_is_there() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert len(links) > 5
    assert not [link for link in links if not (ROOT / link).exists()]
