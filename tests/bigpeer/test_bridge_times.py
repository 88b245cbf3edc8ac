"""Corrections of time as bridges tell them (SPEC 10.21, 10.24)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bigpeer_harness import local
from log_writer import JUNE
from raw_author import RawAuthor
from test_bridges import Admin

from hedgerow.codec.schema import STREAM
from hedgerow.operation import SOURCE_BOOT, SOURCE_GATEWAY
from hedgerow_bigpeer.cdc.events import TIMES_TYPE
from hedgerow_bigpeer.store.rows import TIMES


@pytest.fixture
def admin(tmp_path: Path) -> Iterator[Admin]:
    with local(tmp_path) as served:
        yield Admin(served)


def lines(admin: Admin, name: str) -> list[Any]:
    path = admin.served.peer.service.config.bridges_path / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def make(admin: Admin, name: str, *collections: str, form: str = "ditto") -> None:
    admin.call(
        "PUT",
        f"/{name}",
        {
            "format": form,
            "sources": [{"collection": collection, "query": "t > 1"} for collection in collections],
            "sink": {"type": "file", "path": f"{name}.jsonl"},
        },
    )


def learn_late(admin: Admin) -> RawAuthor:
    """Bring two readings of a board that does not know the time, and then the time."""
    author = RawAuthor(7, collection="readings", kind=STREAM)
    author.clock(epoch=4, uptime=0, source=SOURCE_BOOT, utc=None, error=0)
    author.insert(1000, None, t=1)
    author.insert(2000, None, t=2)
    submit = admin.served.peer.service.submit
    admin.served.run(submit(author.take()))
    author.clock(epoch=4, uptime=3000, source=SOURCE_GATEWAY, utc=JUNE, error=10)
    admin.served.run(submit(author.take()))
    return author


def test_a_bridge_tells_that_times_are_others_where_it_has_such_readings(admin: Admin) -> None:
    author = learn_late(admin).author.hex()
    make(admin, "all")
    make(admin, "covers", "readings", "cars", form="cloudevents")
    make(admin, "other", "cars")
    admin.insert("cars", _id=1, t=2)
    *documents, told, _car = admin.until(lambda: len(lines(admin, "all")) == 4 and lines(admin, "all"))
    assert {entry["type"] for entry in documents} == {"documentChanged"}
    found = {"_time_error_ms": 12, "_time_source": "gateway"}
    ends = {
        "first": {"number": 1, "before": None, "after": {"_time": "2026-05-31T23:59:57.000Z", **found}},
        "last": {"number": 3, "before": None, "after": {"_time": "2026-05-31T23:59:59.000Z", **found}},
    }
    said = {"type": "timeCorrected", "collections": ["readings"], "author": author, "boots": [4, 4], **ends}
    assert told == {"txnId": told["txnId"], **said}
    # What it says is what queries say now.
    shown = admin.served.items("SELECT _time FROM readings WHERE t = 2")
    assert shown == [{"_time": ends["last"]["after"]["_time"]}]  # type: ignore[index]
    reading, event, _car = admin.until(lambda: len(lines(admin, "covers")) == 3 and lines(admin, "covers"))
    assert reading["data"]["after"]["t"] == 2
    assert event["data"] == told
    assert (event["type"], event["subject"], event["source"]) == (TIMES_TYPE, author, "/apps/default")
    # The same as often as it is told, and behind what it is about.
    admin.call("POST", "/covers/reset", {"from": "oldest"})
    again = admin.until(lambda: len(lines(admin, "covers")) == 6 and lines(admin, "covers"))
    assert again[:3] == again[3:]
    (only,) = admin.until(lambda: lines(admin, "other"))
    assert only["collection"] == "cars"


def test_the_feed_of_changes_passes_over_times(admin: Admin) -> None:
    learn_late(admin)
    rows = admin.served.run(admin.served.peer.service.store.outbox((0, 0), 100))
    assert [row.collection for row in rows] == ["readings", "readings", TIMES]
    found = admin.served.request("GET", "/api/hedgerow/v1/changes").json()
    assert [change["collection"] for change in found["changes"]] == ["readings", "readings"]
    rest = admin.served.request("GET", "/api/hedgerow/v1/changes", params={"since": found["next"]}).json()
    assert rest["changes"] == []
