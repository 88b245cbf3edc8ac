"""The portal: what it loads, who may do what, the data browser, the map, peers, gaps and bridges."""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from bigpeer_harness import Local, local
from log_writer import JUNE, Writer
from markupsafe import escape
from test_access_http import farm_at
from test_login_pages import Browser, entered, farm_with_people
from test_system import lost_entries, told

import hedgerow_bigpeer
from hedgerow.errors import CODES, HedgerowError
from hedgerow.sync.hello import GATEWAY
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.auth import manage
from hedgerow_bigpeer.cdc import table as bridge_table
from hedgerow_bigpeer.pages import data
from hedgerow_bigpeer.presence import Remote

VENDOR = Path(str(hedgerow_bigpeer.__file__)).parent / "static" / "vendor"
PAGES = ("/", "/data", "/peers", "/gaps", "/bridges")
SELECT = "/data?statement=SELECT%20*%20FROM%20cars"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as running:
        yield running


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Local]:
    running = farm_with_people(tmp_path)
    yield running
    running.close()


# ---- what pages load


def test_vendored_files_are_what_their_list_says() -> None:
    packages = json.loads((VENDOR / "vendor.json").read_text())
    listed = {name: digest for package in packages for name, digest in package["files"].items()}
    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert found == listed
    for package in packages:
        name, version = package["name"], package["version"]
        assert package["source"] == f"https://registry.npmjs.org/{name}/-/{name}-{version}.tgz"
        assert package["integrity"].startswith("sha512-") and package["licence"] in ("0BSD", "MIT")
        assert any(path.endswith("/LICENSE.md") for path in package["files"])


def test_pages_run_our_scripts_alone_and_browsers_check_them(served: Local) -> None:
    for path in PAGES:
        page = served.request("GET", path)
        policy = dict(
            part.strip().partition(" ")[::2] for part in page.headers["content-security-policy"].split(";")
        )
        assert page.status_code == 200 and policy["default-src"] == "'none'"
        # With `no-referrer`, Chromium's forms come from the origin `null`.
        assert page.headers["referrer-policy"] == "same-origin"
        assert {policy[name] for name in ("script-src", "style-src", "connect-src", "form-action")} == {
            "'self'"
        }
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        scripts = re.findall(r"<script[^>]*>", page.text)
        assert len(scripts) == page.text.count("<script") == 4
        for script in scripts:
            source = re.search(r'src="(/static/[^"]+)"', script)
            assert source, script
            content = served.request("GET", source[1])
            assert content.status_code == 200
            if "/vendor/" in source[1]:
                digest = base64.b64encode(hashlib.sha256(content.content).digest()).decode()
                assert f'integrity="sha256-{digest}"' in script
        # No handlers, styles or addresses of elsewhere in the page.
        assert not re.search(r"\son\w+=|\sstyle=|javascript:|(?:src|href)=\"(?:https?:)?//", page.text)
        # What htmx would do that the policy forbids is switched off.
        found = re.search(r"name=\"htmx-config\" content='([^']+)'", page.text)
        assert found
        settings = json.loads(found[1])
        wanted = {"includeIndicatorStyles": False, "allowEval": False, "allowScriptTags": False}
        assert {**wanted, "selfRequestsOnly": True, "historyCacheSize": 0} == settings


def test_before_a_login_no_script_runs(farm: Local) -> None:
    page = Browser(farm).open("/login")
    assert "<script" not in page.text and "script-src" not in page.headers["content-security-policy"]


# ---- who may do what


def test_every_page_wants_a_login(farm: Local) -> None:
    for path in (*PAGES, "/peers/0011223344556677", SELECT, "/data/live?statement=SELECT", "/changed"):
        response = Browser(farm).open(path)
        assert (response.status_code, response.headers["location"]) == (303, "/login"), path
        # A script is told to take the browser there, and gets nothing to put into the page.
        part = Browser(farm).open(path, **{"hx-request": "true"})
        assert (part.status_code, part.headers["hx-redirect"], part.text) == (401, "/login", ""), path


def send(browser: Browser, statement: str, form: str | None = None, **headers: str) -> Any:
    fields = {"statement": statement, "form": browser.form_of("/data") if form is None else form}
    return browser.open("/data", fields, **{"hx-request": "true", **headers})


def test_viewers_read_and_operators_write(farm: Local) -> None:
    insert = "INSERT INTO cars DOCUMENTS ({'_id': 1, 'color': 'blue'})"
    viewer, operator = entered(farm, "viewer"), entered(farm, "operator")
    refused = send(viewer, insert)
    assert "AUTH_FORBIDDEN" in refused.text and "SELECT only" in viewer.open("/data").text
    assert "1 document changed" in send(operator, insert).text
    assert "sse-connect=" in send(viewer, "SELECT * FROM cars").text
    assert "SELECT only" not in operator.open("/data").text
    log = farm.run(asyncio.to_thread(manage.list_audit, farm.peer.registry, 10, None))["audit"]
    rows = [(row["actor"], row["action"], row["subject"]) for row in log if row["action"].startswith("data.")]
    assert rows == [("user:operator", "data.insert", "cars")]


def test_what_is_no_select_is_for_operators(farm: Local) -> None:
    viewer, operator = entered(farm, "viewer"), entered(farm, "operator")
    for statement in ("CREATE INDEX i ON cars (color)", "DELETE FROM cars", "UPDATE cars SET a = 1"):
        assert "AUTH_FORBIDDEN" in send(viewer, statement).text
        assert "changed, transaction" in send(operator, statement).text


@pytest.mark.parametrize("kind", ["", "select"])
def test_what_the_page_takes_for_no_write_cannot_write(
    farm: Local, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # The page and whoever runs the statement read it each by itself.
    monkeypatch.setattr(data, "_kind_of", lambda text: (kind, "system:peers"))
    viewer, operator = entered(farm, "viewer"), entered(farm, "operator")
    before = farm.peer.service.newest
    insert = "INSERT INTO cars DOCUMENTS ({'_id': 1})"
    for statement in (insert, "CREATE INDEX i ON cars (color)"):
        assert "AUTH_FORBIDDEN" in send(viewer, statement).text
    # An address is opened by whoever follows a link.
    assert "AUTH_FORBIDDEN" in operator.open(f"/data?{urlencode({'statement': insert})}").text
    assert farm.peer.service.newest == before


def test_who_follows_answers_is_counted(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def take(name: str) -> None:
        asked.append(name)
        raise HedgerowError("RATE_LIMITED", "1 s")

    viewer = entered(farm, "viewer")
    monkeypatch.setattr(farm.peer.rates, "take", take)
    refused = viewer.open("/data/live?statement=SELECT%20*%20FROM%20cars")
    assert (refused.status_code, asked) == (429, ["user:viewer"])
    assert "RATE_LIMITED" in refused.text and len(farm.peer.live) == 0


def test_forms_of_pages_elsewhere_write_nothing(farm: Local, tmp_path: Path) -> None:
    insert = "INSERT INTO cars DOCUMENTS ({'a': 1})"
    operator = entered(farm, "operator")
    for form in ("", "wrong"):
        assert send(operator, insert, form).status_code == 403
    assert send(operator, insert, origin="http://evil.example").status_code == 403
    # A GET never writes, whoever sends it.
    page = operator.open(f"/data?statement={insert.replace(' ', '%20')}")
    assert page.status_code == 200 and str(escape(insert)) in page.text
    assert farm.peer.service.kinds.get("cars") is None
    with local(tmp_path / "open") as playground:
        browser = Browser(playground)
        assert send(browser, insert, "", origin="http://evil.example").status_code == 403
        assert "1 document changed" in send(browser, insert, "").text


def test_without_a_login_documents_of_production_are_shown_to_nobody(tmp_path: Path) -> None:
    farm = farm_at(tmp_path)
    try:
        page = farm.request("GET", "/data")
        assert page.status_code == 200 and "<textarea" not in page.text and "users add" in page.text
        for path in (SELECT, "/data/live?statement=SELECT%20*%20FROM%20cars"):
            assert farm.request("GET", path).status_code == 403
        answer = farm.request("POST", "/data", data={"statement": "SELECT * FROM cars", "form": ""})
        assert answer.status_code == 403
    finally:
        farm.close()


def test_bridges_are_paused_by_admins(farm: Local) -> None:
    sink = {
        "type": "webhook",
        "url": "http://127.0.0.1:9/token-in-address",
        "secret": "s" * 32,
        "private": True,
    }
    text = json.dumps({"sink": sink, "format": "ditto", "sources": []})
    store = farm.peer.service.store
    farm.run(store.transact(lambda db, key: bridge_table.set_bridge(db, key, "hook", text, (0, 0))))
    viewer, admin = entered(farm, "viewer"), entered(farm, "admin")
    page = viewer.open("/bridges").text
    assert "hook" in page and "webhook" in page and "<button>pause" not in page
    assert "token-in-address" not in page and "ssss" not in page
    fields = {"form": admin.form_of("/bridges"), "name": "hook", "stop": "on"}
    assert admin.open("/bridges/pause", fields).status_code == 303
    assert '<span class="badge paused">' in viewer.open("/bridges").text
    fields = {"form": viewer.form_of("/bridges"), "name": "hook"}
    assert viewer.open("/bridges/pause", fields).status_code == 403
    assert '<span class="badge paused">' in viewer.open("/bridges").text


def test_admins_say_how_long_readings_are_kept(farm: Local) -> None:
    writer = Writer(mesh="farm")
    writer.insert_many(1)
    farm.run(farm.peer.service.submit(writer.entries()))
    insert = "INSERT INTO cars DOCUMENTS ({'_id': 1})"
    operator, admin = entered(farm, "operator"), entered(farm, "admin")
    assert "1 document changed" in send(operator, insert).text
    store = farm.peer.service.store

    def kept() -> dict[str, int]:
        return {row.collection: row.keep for row in farm.run(store.retention()) if row.keep}

    def sent(browser: Browser, keep: str, collection: str = "readings", **other: str) -> int:
        fields = {"form": browser.form_of("/data"), "collection": collection, "keep": keep, **other}
        return browser.open("/data/retention", fields).status_code

    assert "<option>readings</option>" in admin.open("/data").text
    assert "<option>" not in operator.open("/data").text
    for browser, keep, more, status in (
        (operator, "90d", {}, 403),
        (admin, "90d", {"form": "wrong"}, 403),
        (admin, "soon", {}, 400),
        (admin, "59m", {}, 400),
        (admin, "90d", {"collection": "cars"}, 400),
        (admin, "90d", {"collection": ""}, 400),
    ):
        assert sent(browser, keep, **more) == status
    assert kept() == {}
    assert sent(admin, "90d") == 303 and kept() == {"readings": 90 * limits.DAY_MS}
    assert "stream, 90 d" in operator.open("/data").text
    assert sent(admin, " ") == 303 and kept() == {}
    told = [entry for entry in farm.peer.registry.audit.newest(20) if "retain" in entry.action]
    assert [(entry.actor, entry.detail["keep_ms"]) for entry in reversed(told)] == [
        ("user:admin", 90 * limits.DAY_MS),
        ("user:admin", None),
    ]


# ---- the data browser


def events(served: Local, path: str, count: int, then: Any = None) -> list[tuple[str, str]]:
    """The first events of a stream; `then()` runs after the first one."""

    async def main() -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        headers = [(b"host", b"127.0.0.1:8080")]
        raw, _, query = path.partition("?")
        scope = {"type": "http", "method": "GET", "path": raw, "raw_path": raw.encode(), "headers": headers,
                 "query_string": query.encode(), "client": ("127.0.0.1", 5), "server": ("127.0.0.1", 8080),
                 "scheme": "http", "http_version": "1.1", "root_path": ""}  # fmt: skip
        enough = asyncio.Event()
        text = ""

        async def receive() -> dict[str, Any]:
            await enough.wait()
            return {"type": "http.disconnect"}

        async def sent(message: dict[str, Any]) -> None:
            nonlocal text
            text += message.get("body", b"").decode()
            *whole, text = text.split("\n\n")
            for block in whole:
                lines = block.split("\n")
                name = lines[0].partition(": ")[2]
                found.append((name, "\n".join(line.partition(": ")[2] for line in lines[1:])))
                if len(found) == 1 and then is not None:
                    await then()
            if len(found) >= count:
                enough.set()

        async with asyncio.timeout(15):
            await served.asgi(scope, receive, sent)
        return found

    return served.run(main())


def test_an_answer_stays_up_to_date_and_is_text_wherever_it_came_from(served: Local) -> None:
    served.execute("INSERT INTO cars DOCUMENTS (:d)", {"d": {"_id": 1, "a": "<b>bold</b>", "<i>": [1, "&"]}})

    async def write() -> None:
        await served.ask("INSERT INTO cars DOCUMENTS ({'_id': 2, 'a': 'second'})")

    (first, before), (second, after) = events(
        served, "/data/live?statement=SELECT%20*%20FROM%20cars%20ORDER%20BY%20_id", 2, write
    )[:2]
    assert (first, second) == ("rows", "rows")
    assert "&lt;b&gt;bold&lt;/b&gt;" in before and "<b>" not in before and "<th>&lt;i&gt;</th>" in before
    assert "1 row," in before and "second" not in before
    assert "2 rows," in after and '<tr class="new"><td class="number">2</td>' in after
    assert not served.peer.live._open, "a stream that ended counts no more"


def test_an_answer_that_is_refused_says_why_in_its_place(served: Local) -> None:
    browser = Browser(served)
    assert "QUERY_SYNTAX" in send(browser, "SELEKT", "").text
    assert "SYSTEM_READ_ONLY" in send(browser, "DELETE FROM system:peers", "").text
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "LIVE_ROWS", 1)
        served.execute("INSERT INTO cars DOCUMENTS ({'_id': 1}), ({'_id': 2})")
        (name, text), (end, _) = events(served, "/data/live?statement=SELECT%20*%20FROM%20cars", 2)
    assert (name, end) == ("rows", "end") and "QUERY_ROWS" in text
    refused = served.request("GET", "/data/live?statement=DELETE%20FROM%20cars")
    assert refused.status_code == 400 and "QUERY_UNSUPPORTED" in refused.text


def test_without_scripts_the_whole_page_comes(served: Local) -> None:
    answer = served.request("POST", "/data", data={"statement": "INSERT INTO cars DOCUMENTS ({'_id': 7})"})
    assert answer.status_code == 200 and "<textarea" in answer.text and "1 document changed" in answer.text
    page = served.request("GET", "/data?statement=SELECT%20name%20FROM%20system:collections").text
    assert '<td class="text">cars</td>' in page and "SELECT name FROM system:collections" in page


# ---- peers and gaps


def test_peers_show_their_health_and_the_overdue_first(
    served: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer()
    writer.peer.set_time(JUNE, 20, 2, 0)
    told(served, writer)
    served.execute("INSERT INTO peers DOCUMENTS ({'_id': 'zz <mast>', 'place': '3,4', 'due_s': 5})")
    page = served.request("GET", "/peers").text
    for text in ("fern", "3.71 V", "7 %", "40 KiB", "watchdog", "0.1.0", "geo:48.2,16.37"):
        assert text in page, text
    assert page.index("zz &lt;mast&gt;") < page.index(">fern</a>")
    assert "<mast>" not in page and page.count('badge overdue"') == 1
    author = writer.peer.author.hex()
    one = served.request("GET", f"/peers/{author}").text
    assert (
        "watchdog, number 3" in one and "2026-06-01 00:00:00 UTC" in one and "Nothing is missing" not in one
    )
    assert served.request("GET", "/peers/0011223344556677").status_code == 404
    assert served.request("GET", "/peers/xyz").status_code == 400
    drawings = re.findall(r"<svg class=\"map.*?</svg>", page, re.DOTALL)
    assert len(drawings) == 4, "of degrees and of metres, for wide windows and for narrow ones"
    for drawing in drawings:
        ElementTree.fromstring(drawing)
    assert f'href="/peers/{author}"' in drawings[0]
    clock = served.peer.service.clock
    now = clock.utc()
    monkeypatch.setattr(clock, "utc", lambda: now + 3 * 3600_000)
    assert served.request("GET", "/peers").text.count('badge overdue"') == 2


def test_gaps_lead_to_their_reasons(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "LOST_LOOK_MS", 0)
    assert "Nothing is missing" in served.request("GET", "/gaps").text
    writer = Writer("fern")
    served.run(served.peer.service.submit(lost_entries(writer)))
    holder = Remote(b"gateway1", "barn", GATEWAY, {writer.peer.author: 9})
    monkeypatch.setattr(served.peer.sync, "remotes", lambda: [holder])
    frontier = served.peer.service.frontier(b"refused1")
    served.peer.service.refusals.note(frontier, HedgerowError("SYNC_GAP", "5"), "test")

    async def refused() -> list[tuple[bytes, str, int, int]]:
        return [(writer.peer.author, "WRITE_FORBIDDEN", 2, 6)]

    monkeypatch.setattr(served.peer.service.store, "refused", refused)
    author = writer.peer.author.hex()
    page = served.request("GET", "/gaps").text
    assert page.count(f'href="/peers/{author}#gaps"') == 4
    assert "2 to 4" in page and "from 1 on" in page and "summaries took the place of readings" in page
    assert f'href="/peers/{b"gateway1".hex()}"' in page, "who has them"
    assert 'href="/access"' in page and str(escape(CODES["WRITE_FORBIDDEN"][1])) in page
    one = served.request("GET", f"/peers/{author}").text
    assert "operations 7 to 7" in one and one.count("<details") == 4
    bars = re.findall(r'<rect class="(\S+)" x="([\d.]+)%" width="([\d.]+)%"', one)
    assert ("lost", "11.11", "33.33") in bars and ("under-way", "77.78", "22.22") in bars


# ---- streams


def test_pages_hear_of_commits(served: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(limits, "PAGE_QUIET_SECONDS", 0.05)
    assert [name for name, _ in events(served, "/changed", 2)][:2] == ["changed", "changed"]
    monkeypatch.setattr(limits, "PAGE_QUIET_SECONDS", 3600)

    async def write() -> None:
        await served.ask("INSERT INTO cars DOCUMENTS ({'a': 1})")

    async def main() -> list[str]:
        async def later() -> None:
            await asyncio.sleep(0.1)
            await write()

        task = asyncio.create_task(later())
        stream = served.asgi.state.page_events._changes(_Request())
        try:
            return [(await anext(stream)).decode()]
        finally:
            await stream.aclose()
            await task

    assert served.run(main()) == ["event: changed\ndata: \n\n"]
    monkeypatch.setattr(limits, "PAGE_STREAMS", 0)
    assert served.request("GET", "/changed").status_code == 400


class _Request:
    """A request of a page that is open to everybody."""

    cookies: dict[str, str] = {}
    scope: dict[str, Any] = {"client": None}


def test_a_page_of_a_login_that_ended_hears_no_more(farm: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(limits, "PAGE_QUIET_SECONDS", 0.01)
    viewer = entered(farm, "viewer")
    request = _Request()
    request.cookies = {name: value for name, (value, _) in viewer.cookies.items()}

    async def main() -> list[bytes]:
        stream = farm.asgi.state.page_events._changes(request)
        first = await anext(stream)
        await asyncio.to_thread(farm.peer.registry.accounts.remove, "test", "viewer")
        return [first, *[part async for part in stream]]

    said = farm.run(main())
    assert said[0].startswith(b"event: changed") and said[-1].startswith(b"event: end") and len(said) <= 3
