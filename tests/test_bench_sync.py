"""The parts of `make bench ONLY=sync` and `make size`, on small inputs: that they measure what they say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from bench import npm, size, sync_formats, sync_rate, sync_reconcile, sync_vm  # noqa: E402
from bench.figure import figure  # noqa: E402
from hedgerow.errors import HedgerowError  # noqa: E402


def test_what_changed_is_found_and_nothing_else_is_sent() -> None:
    pair = sync_reconcile.Pair(80)
    assert pair.change(0).segments == 0
    one, ten = pair.change(1), pair.change(10)
    assert 0 < one.segments < 40 and ten.segments > 9 * 20
    assert pair.change(0).segments == 0
    for count in (one, ten):
        assert count.total > count.segments + count.hello
    held = {pair.keeper.log.held(author.name) for author in pair.authors}
    assert held == {1, 2, 3}


def test_nothing_new_costs_less_than_a_hundred_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sync_reconcile, "DOCUMENTS", 500)
    (nothing,) = sync_reconcile.bytes_when_nothing_is_new()
    assert 0 < nothing["value"] < nothing["goal"]


def test_others_take_more_bytes_than_ours() -> None:
    for measured in (*sync_formats.readings_of_one_author(), *sync_formats.readings_of_many_authors()):
        assert {"json", "cbor_names"} <= set(measured["beside"])
        assert measured["value"] < min(measured["beside"].values())


def test_documents_arrive_over_a_websocket(tmp_path: Path) -> None:
    content = tmp_path / "documents.json"
    content.write_text(json.dumps(sync_rate.documents(300)))
    assert sync_rate.ours(tmp_path, content) > 0


def test_the_program_for_the_vm_runs_on_cpython_too() -> None:
    assert sync_vm.rate([sys.executable]) > 0


def test_without_node_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HedgerowError, match="BENCH_TOOL_MISSING: node and npm"):
        npm.node("pouchdb")


def test_a_comparison_that_cannot_be_made_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sync_rate, "DOCUMENTS", 100)
    monkeypatch.setattr(sync_rate, "ROUNDS", 1)
    (only,) = sync_rate.documents_per_second()
    assert only["figure"] == "sync.rate.documents"
    assert "PouchDB is left out: BENCH_TOOL_MISSING" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_size_names_every_module_and_how_it_was_measured(tmp_path: Path) -> None:
    """Without npm, whose part is then named as left out."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.size", "--json"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["mpy_bytes_total"] == sum(result["mpy_bytes"].values())
    recording, session = (result["resident"][state] for state in ("recording", "session"))
    assert set(recording["modules"]) | set(session["modules"]) <= set(result["mpy_bytes"])
    # Before a session a board gives back what its log needs now and then, nothing else.
    given_back = set(recording["modules"]) - set(session["modules"])
    assert all(name.startswith("hedgerow_device.flash") for name in given_back), given_back
    assert {"hedgerow.peer", "hedgerow_device.flashlog"} <= set(recording["modules"])
    assert "hedgerow.sync.exchange" in session["modules"]
    assert "BENCH_TOOL_MISSING" in result["heap"]["factor_how"]
    for documents in ("500", "2000"):
        entry = result["heap"]["documents"][documents]
        assert entry["live_bytes_64"]["recorded"] < entry["smallest_heap_kib_64"] * 1024
        assert "BENCH_TOOL_MISSING" in entry["live_bytes_32_left_out"]
    assert set(result["how"]) == {"mpy_bytes", "resident", "live_bytes_32", "live_bytes_64", "smallest_heap"}
    assert len(size.lines(result)) > len(result["mpy_bytes"])


def test_a_figure_keeps_its_shape() -> None:
    assert figure("a.b", 1.2346, "B", 2.0, {"c": 5}) == {
        "figure": "a.b",
        "value": 1.235,
        "unit": "B",
        "goal": 2.0,
        "beside": {"c": 5},
    }
