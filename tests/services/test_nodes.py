"""Two nodes on one PostgreSQL: one runs a bridge, and the other goes on when it ends."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from bigpeer_harness import Local, eventually, local
from test_bridges import TO_FILE, Admin, FakeSink

from hedgerow_bigpeer import limits
from hedgerow_bigpeer.cdc import runner

Url = Callable[[str], str]


def test_a_bridge_goes_on_at_another_node(
    database: Url, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeSink()
    monkeypatch.setattr(runner, "open_sink", lambda config, folder: fake)
    monkeypatch.setattr(limits, "BRIDGE_LOOK_SECONDS", 0.02)
    url = database("a")
    with local(tmp_path / "two", store=url) as two:
        with local(tmp_path / "one", store=url, rights_key=tmp_path / "two" / "rights.key") as one:
            admin = Admin(one)
            admin.call("PUT", "/b", TO_FILE)
            for n in range(10):
                (one, two)[n % 2].execute("INSERT INTO c DOCUMENTS (:d)", {"d": {"_id": n}})
            _both_until(one, two, lambda: len(fake.got) >= 10)
            first = len(fake.got)
        two.execute("INSERT INTO c DOCUMENTS ({'_id': 10})")
        _both_until(two, two, lambda: len(fake.got) > first)
    ids = [json.loads(event.value)["change"]["newValue"]["_id"] for event in fake.got]
    assert sorted(set(ids)) == list(range(11))
    # In order, but for what may have come twice.
    places = list(dict.fromkeys(event.place for event in fake.got))
    assert places == sorted(places)


def _both_until(one: Local, two: Local, condition: Callable[[], bool]) -> None:
    """Let both applications run until something is so; each has a loop of its own."""

    def look() -> bool:
        one.run(asyncio.sleep(0.01))
        two.run(asyncio.sleep(0.01))
        return condition()

    eventually(look)
