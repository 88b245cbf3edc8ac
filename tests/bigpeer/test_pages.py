"""The status page, the JSON status, health and metrics; settings and starting."""

import asyncio
import gc
import re
import socket
import sqlite3
import traceback
import xml.etree.ElementTree
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest
from bigpeer_harness import STATUS, Local, local
from log_writer import JUNE, Writer

from hedgerow.codec.decimal import Decimal
from hedgerow.errors import HedgerowError
from hedgerow_bigpeer import BigPeerConfig, metrics, run_bigpeer
from hedgerow_bigpeer.auth.postgres import PostgresEngine
from hedgerow_bigpeer.clock import rfc3339
from hedgerow_bigpeer.plot import make_plot
from hedgerow_bigpeer.status import Reading


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


def fill(served: Local, name: str = "board <1>") -> Writer:
    """Bring in readings of a board that knows the time."""
    writer = Writer(name)
    writer.peer.set_time(JUNE, 20, 2, 0)
    writer.insert_many(5)
    writer.peer.seal(writer.now)
    served.run(served.peer.service.submit(writer.entries()))
    return writer


def test_an_empty_page(served: Local) -> None:
    page = served.request("GET", "/")
    assert page.status_code == 200 and "No readings with a known time yet" in page.text
    assert "Playground: this page and the API answer everybody" in page.text


def test_the_page_shows_peers_and_a_plot(served: Local) -> None:
    writer = fill(served)
    page = served.request("GET", "/")
    assert writer.peer.author.hex() in page.text
    assert "board &lt;1&gt;" in page.text and "board <1>" not in page.text
    assert page.text.count("<polyline") == 1
    (points,) = re.findall(r'<polyline class="series s0" points="([^"]+)"', page.text)
    assert len(points.split()) == 5
    (drawing,) = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)
    xml.etree.ElementTree.fromstring(drawing)
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
    # A policy that allows no script of the page itself would not run one.
    assert not re.search(r'<script(?! src="/static/)', page.text) and "style=" not in page.text
    assert served.request("GET", "/static/status.css").status_code == 200


def test_json_status(served: Local) -> None:
    writer = fill(served)
    body = served.request("GET", STATUS).json()
    own = served.peer.service.store.identity.author.hex()
    assert body["author"] == own
    rows = {row["author"]: row for row in body["authors"]}
    assert set(rows) == {own, writer.peer.author.hex()}
    row = rows[writer.peer.author.hex()]
    assert (row["name"], row["held"], row["sealed"], row["receipted"]) == ("board <1>", 7, 7, 7)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["last_seen"])


def test_health_and_metrics(served: Local) -> None:
    fill(served)
    assert served.request("GET", "/healthz").json()["ok"] is True
    served.execute("SELECT * FROM readings")
    served.execute("SELEKT")
    response = served.request("GET", "/metrics")
    assert response.headers["content-type"] == metrics.MEDIA_TYPE
    samples = dict(line.rsplit(" ", 1) for line in response.text.splitlines() if not line.startswith("#"))
    assert samples["hedgerow_bigpeer_operations_total"] == "8"
    assert samples['hedgerow_bigpeer_statements_total{kind="select"}'] == "1"
    assert samples["hedgerow_bigpeer_statement_errors_total"] == "1"
    assert samples["hedgerow_bigpeer_authors"] == "2"
    assert samples['hedgerow_bigpeer_execute_seconds_bucket{le="+Inf"}'] == "2"
    assert samples["hedgerow_bigpeer_execute_seconds_count"] == "2"
    assert 0 < float(samples["hedgerow_bigpeer_execute_seconds_sum"]) < 20
    for name in samples:
        name = re.sub(r"(_seconds)_(bucket|sum|count)$", r"\1", name.partition("{")[0])
        assert f"# TYPE {name} " in response.text


def test_a_node_says_whether_to_start_it_anew_and_whether_to_send_it_anybody(served: Local) -> None:
    def asked() -> tuple[int, int]:
        return tuple(served.request("GET", path).status_code for path in ("/livez", "/readyz"))  # type: ignore[return-value]

    assert asked() == (200, 200)
    # A store that is away comes back by itself; one that went on without this node does not.
    served.peer.service.healthy = False
    assert asked() == (200, 503)
    served.peer.service.healthy = True
    served.peer.service.store.outdated = HedgerowError("STORE_FAILED", "promoted")
    assert asked() == (503, 200)
    served.peer.service.store.outdated = None
    served.peer.draining = True
    assert asked() == (200, 503)


def test_the_plot_is_of_what_most_readings_have(served: Local) -> None:
    fill(served)
    other = Writer("soil")
    other.insert({"board": "soil", "acidity_ph": Decimal(64, -1)})
    served.run(served.peer.service.submit(other.entries()))
    page = served.request("GET", "/").text
    assert "acidity_ph" not in page and page.count("<polyline") == 1


def test_a_value_that_no_axis_holds_is_not_plotted(served: Local) -> None:
    writer = fill(served)
    for value in (float("nan"), float("inf"), -1.7e308, Decimal(1, 127), 7):
        writer.insert({"temperature_f": value})
    served.run(served.peer.service.submit(writer.entries()))
    page = served.request("GET", "/").text
    (points,) = re.findall(r'<polyline class="series s0" points="([^"]+)"', page)
    assert len(points.split()) == 7 and not re.search("nan|inf", points)


def test_a_store_that_fails_shows_in_health(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*args: object) -> None:
        raise HedgerowError("STORE_FAILED", "the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(served.peer.service.store, "ingest", fail)
        assert served.execute("INSERT INTO c DOCUMENTS ({'a': 1})").status_code == 503
    health = served.request("GET", "/healthz")
    assert (health.status_code, health.json()["ok"]) == (503, False)
    assert served.execute("INSERT INTO c DOCUMENTS ({'a': 1})").status_code == 200
    assert served.request("GET", "/healthz").status_code == 200


def test_other_hosts_and_origins_are_refused(served: Local) -> None:
    for headers in ({"host": "evil.example"}, {"origin": "http://evil.example"}, {"host": "["}):
        assert served.request("GET", "/healthz", headers=headers).status_code == 403, headers
    for headers in ({"host": "localhost:80"}, {"host": "[::1]:8080"}, {"origin": "http://localhost:3000"}):
        assert served.request("GET", "/healthz", headers=headers).status_code == 200, headers


def test_time_is_derived_only_where_it_is_not_written(served: Local) -> None:
    fill(served)
    first = served.items("SELECT * FROM readings ORDER BY n LIMIT 1")[0]
    assert first["_time"] == "2026-06-01T00:00:01.000Z"
    assert isinstance(first["_time_error_ms"], int) and first["_time_error_ms"] >= 20
    assert served.items("SELECT n FROM readings WHERE _time > '2026-06-01T00:00:04' ORDER BY n") == [
        {"n": 4},
        {"n": 5},
    ]
    writer = Writer("own time")
    writer.peer.set_time(JUNE, 20, 2, 0)
    writer.insert({"_time": "yesterday", "x": Decimal(1, 0)})
    writer.insert({"x": 1}, "kept")
    served.run(served.peer.service.submit(writer.entries()))
    (row,) = served.items("SELECT * FROM readings WHERE _time = 'yesterday'")
    assert "_time_error_ms" not in row
    assert "_time" not in served.items("SELECT * FROM kept")[0]


def test_a_boot_without_time_lies_between_its_neighbours(tmp_path: Path) -> None:
    question = "SELECT _time, _time_error_ms FROM readings ORDER BY _time"
    with local(tmp_path) as served:
        writer = Writer("board")
        writer.peer.set_time(JUNE, 20, 2, 0)
        writer.insert_many(1)
        writer.boot()
        writer.insert_many(1)
        served.run(served.peer.service.submit(writer.entries()))
        assert len(served.items("SELECT * FROM readings WHERE _time IS MISSING")) == 1
        writer.boot()
        writer.now = 0
        writer.peer.set_time(JUNE + 600_000, 20, 2, 0)
        served.run(served.peer.service.submit(writer.entries()))
        assert served.items("SELECT * FROM readings WHERE _time IS MISSING") == []
        rows = served.items(question)
        assert rows[1]["_time"] == "2026-06-01T00:05:00.500Z" or rows[1]["_time_error_ms"] > 290_000
    with local(tmp_path) as again:
        assert again.items(question) == rows


def test_who_told_no_health_has_the_name_of_its_readings_on_every_page(served: Local) -> None:
    writer = Writer("")
    writer.insert({"board": "moss <1>", "n": 1})
    served.run(served.peer.service.submit(writer.entries()))
    author = writer.peer.author.hex()
    for path in ("/", "/peers", f"/peers/{author}"):
        page = served.request("GET", path).text
        assert "moss &lt;1&gt;" in page and f">{author}</a>" not in page, path


def test_plots() -> None:
    assert make_plot([]) is None
    plot = make_plot([Reading("a", JUNE, 39.5, "39.50")])
    assert plot is not None and [series.last for series in plot.series] == ["39.50"]
    plot = make_plot([Reading(f"{n:02}", JUNE + n, float(n), str(n)) for n in range(40)])
    assert plot is not None and len(plot.series) == 12
    # Labels of neighbours differ, however near to each other they are.
    for step in (1, 1000, 86_400_000):
        for high in (1e-9, 0.5, 1e7):
            points = [Reading("a", JUNE + n * step, 101_325.0 + n * high, "") for n in range(2)]
            plot = make_plot(points)
            assert plot is not None
            for labels in (plot.grid, plot.times):
                assert len({label.text for label in labels}) == len(labels)


def test_times_are_written_in_utc() -> None:
    assert rfc3339(0) == "2000-01-01T00:00:00.000Z"
    assert rfc3339(JUNE + 7) == "2026-06-01T00:00:00.007Z"
    assert rfc3339(1 << 60).startswith("9999-12-31")


@pytest.mark.parametrize(
    "setting", [{"host": "0.0.0.0"}, {"port": -1}, {"mesh": ""}, {"name": "x" * 33}, {"clock_error_ms": 0}]
)
def test_senseless_settings_are_refused(tmp_path: Path, setting: dict[str, object]) -> None:
    with pytest.raises(HedgerowError, match="SETTING_INVALID"):
        BigPeerConfig(data=tmp_path, **setting)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:S3C%zzRETpw@127.0.0.1:1/x",
        "postgresql://u:S3C%00RETpw@127.0.0.1:1/x",
        "postgres://u:S3CRETpw@[::1/x",
        "postgresql://u:S3CRETpw@127.0.0.1:1/x?S3CRETopt=1",
        "postgresql://u:pw@S3CRETpw@127.0.0.1:1/x",
        "postgresql://u:S3CRET/pw@127.0.0.1:1/x",
        "postgresql://u:1/S3CRETpw@127.0.0.1:1/x",
    ],
)
def test_a_url_that_cannot_be_read_shows_no_password(tmp_path: Path, url: str) -> None:
    with pytest.raises(HedgerowError, match="SETTING_INVALID") as refused:
        BigPeerConfig(data=tmp_path, store=url)
    with pytest.raises(HedgerowError, match="REGISTRY_FAILED") as failed:
        PostgresEngine(url)
    told = traceback.format_exception(refused.value) + traceback.format_exception(failed.value)
    assert "S3C" not in "".join(told)


def test_a_port_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config = BigPeerConfig(data=tmp_path, port=taken.getsockname()[1])
        with pytest.raises(HedgerowError, match="HTTP_BIND"):
            run_bigpeer(config)


def test_a_newer_store_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "bigpeer.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(HedgerowError, match="STORE_VERSION"):
        run_bigpeer(BigPeerConfig(data=tmp_path, port=0))
    # A socket that was left open says so here.
    gc.collect()


def test_a_stopping_service_takes_nothing_more(tmp_path: Path) -> None:
    with local(tmp_path) as running:
        service = running.peer.service
        writer = fill(running)
    with pytest.raises(HedgerowError, match="STORE_FAILED"):
        asyncio.run(service.submit(writer.entries()))


def test_every_setting_is_documented() -> None:
    root = Path(__file__).parents[2]
    pages = [*root.glob("*.md"), *root.glob("docs*/**/*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    documented = [text for text in texts if "hedgerow_bigpeer.BigPeerConfig" in text]
    for field in fields(BigPeerConfig):
        assert any(f"| `{field.name}` |" in text for text in documented), field.name
