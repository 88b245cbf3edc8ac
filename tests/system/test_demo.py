"""The demo, as a newcomer runs it, and what must happen when the radio or a signal ends it."""

import functools
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from system_kit import SECONDS, clean, demo

# Longer than demo() gives a demo.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 40)]


def test_everything_arrives_and_nobody_gets_in_who_may_not(tmp_path: Path) -> None:
    data = tmp_path / "my.csv"
    rows = [f"2024-01-01,{i},{(-1) ** i * i / 8:.3f}" for i in range(60)]
    data.write_text("\n".join(["# made up", "day,i,level_m", *rows]) + "\n")
    result = demo("--boards", "3", "--readings", "30", "--near", "--seed", "5", "--data", str(data))
    assert clean(result), result
    # One may not write, and one is revoked after a third.
    assert result["recorded"] == 30 + 10
    assert (result["refused"], result["revoked_after"], result["leaked"]) == (30, 20, 0)
    assert result["tampered_found"] > 0
    assert (result["power_cuts"], result["uplink_outages"]) == (1, 1)
    assert result["beacons"] > 3
    assert result["sleeps"] == 0


def test_a_board_that_loses_power_again_and_again_keeps_what_it_acknowledged() -> None:
    result = demo("--playground", "--boards", "2", "--readings", "20", "--cuts", "8", "--seed", "3")
    assert clean(result), result
    assert (result["minted"], result["gone"]) == (0, 0)
    assert result["cuts_in_programs"] + result["cuts_in_erases"] == result["power_cuts"] == 8
    assert "lost power inside" in result["said"]


def test_without_the_air_nothing_arrives() -> None:
    result = demo("--playground", "--boards", "2", "--readings", "10", "--air", "off", status=1)
    assert result["at_big_peer"] == result["connections"] == result["receipted"] == 0
    assert result["missing"] == result["recorded"] == 20
    assert "nothing arrived" in result["said"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_everything_that_it_started_ends_with_it(number: signal.Signals, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("processes are counted in /proc")
    directory = tmp_path / "demo"
    command = [sys.executable, "-m", "hedgerow_cli", "demo", "--boards", "2", "--directory", str(directory)]
    # What runs in the background of a shell ignores SIGINT, and so does all that it starts.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=heed
    ) as process:
        _until(
            lambda: len(_processes_of(directory)) >= 6, "demo, Big Peer, provider, gateway and two boards run"
        )
        process.send_signal(number)
        process.wait(30)
    _until(lambda: not _processes_of(directory), "nothing is left")
    assert process.returncode == (130 if number != signal.SIGKILL else -signal.SIGKILL)


def _processes_of(directory: Path) -> list[str]:
    """Command lines that name the demo's directory: it is on that of each of its processes."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in line:
            found.append(line)
    return found


def _until(condition: object, what: str, seconds: float = 40.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)
