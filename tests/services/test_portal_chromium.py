"""The portal in Chromium: write in one window and see it in another, cut a board and see it overdue, follow a
gap to its reason; at the width of a desk and of a phone, with nothing on the console.
"""

import asyncio
import contextlib
import re
import shutil
import threading
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import uvicorn
from log_writer import Writer
from playwright.sync_api import Browser, Page, expect, sync_playwright
from system_kit import field
from test_system import FACTS, lost_entries

from hedgerow.codec.decimal import Decimal
from hedgerow.health import write_health
from hedgerow_bigpeer import BigPeerConfig, create_app
from hedgerow_bigpeer.app import BigPeer, peer_of
from hedgerow_bigpeer.auth import manage
from hedgerow_cli.big_peer_http import execute

PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
PASSWORD = "a good password"
# Pages ask again at once after a commit, and after a few seconds of none.
PATIENCE_MS = 30_000


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.fail("no Chromium here: make test-services installs it")
    # What a page waits for comes over the air, through a gateway, and with the page's next question.
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


class Window:
    """A page of a browser of its own; what is said on its console is gathered."""

    def __init__(self, browser: Browser, url: str, size: dict[str, int]) -> None:
        self.context = browser.new_context(viewport=size, base_url=url)  # type: ignore[arg-type]
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE_MS)
        self.said: list[str] = []
        self.page.on("console", lambda line: self.said.append(line.text) if line.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def fits(self) -> bool:
        """Whether nothing goes beyond the window's width."""
        return bool(self.page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


@contextlib.contextmanager
def windows(browser: Browser, url: str, *sizes: dict[str, int]) -> Iterator[list[Window]]:
    """Windows that share nothing; at the end none may have said anything on its console."""
    opened = [Window(browser, url, size) for size in sizes]
    yield opened
    assert [window.said for window in opened] == [[] for _ in opened]
    for window in opened:
        window.context.close()


class Served:
    """A Big Peer on a port, in a thread of this process."""

    def __init__(self, directory: Path) -> None:
        self.app = create_app(
            BigPeerConfig(data=directory, full_sync=False, name="big", app="farm", mesh="farm")
        )
        config = uvicorn.Config(self.app, port=0, log_level="warning", lifespan="on")
        self._server = uvicorn.Server(config)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        while not self._server.started:
            self._thread.join(0.02)
            assert self._thread.is_alive()
        self.url = "http://127.0.0.1:%d" % self._server.servers[0].sockets[0].getsockname()[1]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._server.serve())

    @property
    def peer(self) -> BigPeer:
        return peer_of(self.app)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run a coroutine where the server lives."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def stop(self) -> None:
        self.app.state.page_events.stop()
        self.peer.live.stop()
        self._server.should_exit = True
        self._thread.join(20)
        self._loop.close()


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path / "farm")
    for role in ("viewer", "operator"):
        manage.create_user(served.peer.registry, "test", role, role, PASSWORD)
    yield served
    served.stop()


def log_in(window: Window, name: str) -> None:
    window.page.goto("/login")
    window.page.fill("input[name=name]", name)
    window.page.fill("input[name=password]", PASSWORD)
    window.page.click("text=log in >> nth=-1")
    expect(window.page.locator("nav")).to_be_visible()


def test_what_is_written_in_one_window_is_seen_in_another(chromium: Browser, farm: Served) -> None:
    with windows(chromium, farm.url, DESK, PHONE) as (writer, reader):
        log_in(writer, "operator")
        log_in(reader, "viewer")
        statement = "SELECT * FROM plants ORDER BY _id"
        reader.page.goto("/data")
        reader.page.fill("#statement", statement)
        reader.page.press("#statement", "Control+Enter")
        expect(reader.page.locator(".badge.live")).to_be_visible()
        expect(reader.page.locator("#answer")).to_contain_text("0 rows")
        # The address is one to send to somebody.
        assert parse_qs(urlsplit(reader.page.url).query)["statement"] == [statement]
        writer.page.goto("/data")
        for n, kind in enumerate(("fern", "<b>moss</b>"), 1):
            writer.page.fill("#statement", f"INSERT INTO plants DOCUMENTS ({{'_id': {n}, 'kind': '{kind}'}})")
            writer.page.click("button.main")
            expect(writer.page.locator("#answer .done")).to_contain_text("1 document changed")
            expect(reader.page.locator("#answer tbody tr")).to_have_count(n)
        expect(reader.page.locator("#answer tbody")).to_contain_text("<b>moss</b>")
        writer.page.fill("#statement", "DELETE FROM plants WHERE _id = 1")
        writer.page.press("#statement", "Control+Enter")
        expect(reader.page.locator("#answer tbody tr")).to_have_count(1)
        assert reader.fits()
        # Who may only read is told so, and nothing happens.
        reader.page.fill("#statement", "DELETE FROM plants")
        reader.page.click("button.main")
        expect(reader.page.locator("#answer .notice")).to_contain_text("AUTH_FORBIDDEN")
        # A login that ends elsewhere ends the page here.
        farm.peer.registry.accounts.remove("test", "operator")
        writer.page.click("button.main")
        expect(writer.page).to_have_url(f"{farm.url}/login")
        writer.said = [line for line in writer.said if "401" not in line]


def test_a_gap_leads_to_its_reason_at_any_width(chromium: Browser, farm: Served) -> None:
    writer = Writer("fern", mesh="farm")
    service = farm.peer.service
    farm.run(service.submit(lost_entries(writer)))
    healthy = Writer("moss", mesh="farm")
    healthy.peer.set_time(service.clock.utc() - 60_000, 20, 2, 0)
    for n in range(1, 30):
        healthy.insert({"board": "moss", "n": n, "temperature_c": Decimal(200 + n, -1)})
    write_health(healthy.peer, {**FACTS, "name": "moss"}, healthy.now)
    farm.run(service.submit(healthy.entries()))
    with windows(chromium, farm.url, DESK, PHONE) as both:
        for window in both:
            log_in(window, "viewer")
            page = window.page
            expect(page.locator(".uplot")).to_be_visible()
            for name in ("data", "bridges", "gaps", "peers"):
                page.click(f"nav >> text={name}")
                expect(page.locator(f"nav a[aria-current] >> text={name}")).to_be_visible()
                assert window.fits(), name
            expect(page.locator("svg.map:visible")).to_have_count(1)
            page.locator("svg.map:visible a").click()
            expect(page.locator("main")).to_contain_text("3.71 V")
            page.click("nav >> text=gaps")
            row = page.locator("tr.lost")
            expect(row).to_contain_text("2 to 4")
            row.locator("summary").click()
            expect(row).to_contain_text("summaries took the place of readings")
            # The part of the page comes anew after a commit, and what was opened stays open.
            healthy.insert({"board": "moss", "n": 99, "temperature_c": Decimal(1, 0)})
            held = service.frontier(healthy.peer.author).held
            page.evaluate("document.getElementById('live').dataset.old = 'yes'")
            farm.run(service.submit(healthy.entries(held)))
            expect(page.locator("#live:not([data-old])")).to_be_visible()
            expect(row.locator("details")).to_have_attribute("open", "")
            row.locator("a").first.click()
            expect(page.locator("#gaps")).to_contain_text("operations 7 to 7")
            assert window.fits()


def test_labels_of_times_tell_their_lines_apart(chromium: Browser, farm: Served) -> None:
    writer = Writer("fern", mesh="farm")
    # The eight seconds that begin a second later hold a single multiple of five.
    began = (farm.peer.service.clock.utc() // 10_000 - 12) * 10_000 + 500
    writer.peer.set_time(began, 20, 2, 0)
    for seconds in (0, 1, 5, 30, 7200, 3 * 86_400):
        writer.now += 1000 * seconds
        writer.insert({"board": "fern", "seconds": seconds})
    farm.run(farm.peer.service.submit(writer.entries()))
    # A plot's labels are drawn, each line of them by itself: what is written on a canvas is gathered.
    gather = """window.written = []; const draw = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, x, y) {
            written.push([text, x]); draw.call(this, text, x, y); };"""
    with windows(chromium, farm.url, DESK, PHONE) as both:
        for window in both:
            window.context.add_init_script(gather)
            log_in(window, "viewer")
            for count in range(2, 7):
                window.page.goto(f"/data?statement=SELECT * FROM readings ORDER BY seconds LIMIT {count}")
                expect(window.page.locator(".uplot")).to_be_visible()
                labels: dict[float, str] = {}
                for text, x in window.page.evaluate("written"):
                    if re.match(r"\d\d[:-]\d\d|\.\d|\d{4}", text):
                        labels[x] = f"{labels.get(x, '')}{text} "
                assert len(labels) > 1 and len(set(labels.values())) == len(labels), labels


def test_a_board_that_is_cut_off_is_seen_to_be_overdue(chromium: Browser, tmp_path: Path) -> None:
    told = {"health_s": 3, "place": "3,4"}
    with field(tmp_path, 1, 10_000, interval_ms=300, **told) as scene:
        (board,) = scene.scene.boards
        url = scene.scene.url
        with windows(chromium, url, DESK) as (window,):
            page = window.page
            page.goto("/data")
            page.fill("#statement", f"SELECT n FROM readings WHERE board = '{board.name}' LIMIT 3")
            page.click("button.main")
            expect(page.locator("#answer tbody tr")).to_have_count(3)
            page.click("nav >> text=peers")
            row = page.locator(f"tr:has-text('{board.name}')")
            expect(row.locator(".badge")).to_have_text("well")
            # What the board says of itself has come through the air and the gateway, and puts it on the map.
            expect(row.locator("[data-label='last start']")).to_have_text("power-on")
            expect(page.locator("svg.map:visible .dot.well")).to_have_count(1)
            document = {"_id": board.name, "due_s": 6}
            execute(url, "INSERT INTO peers DOCUMENTS (:d)", {"d": document})
            board.power_off()
            expect(row.locator(".badge")).to_have_text("overdue")
            expect(page.locator("svg.map:visible .dot.overdue")).to_have_count(1)
            expect(page.locator(".totals .warn dd")).to_have_text("1")
