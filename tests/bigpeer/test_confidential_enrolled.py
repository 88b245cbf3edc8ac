"""Programs with identities against a production Big Peer in another process: who reads what."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from farm_kit import Farm, run, running_farm

from hedgerow.operation import CLOCK, decode_body
from hedgerow_gateway import open_peer

VISITS = "SELECT who FROM visits ORDER BY who"


def rights(read: list[str], write: list[str]) -> dict[str, Any]:
    sides = {"read": read, "write": write}
    return {
        side: {"queriesByCollection": {name: ["true"] for name in names}} for side, names in sides.items()
    }


def words(program: Any) -> bytes:
    """Return all that a program's log holds of others' operations."""
    log = program._core.log
    return b"".join(bytes(body) for _, _, _, body in log.since(0, 1 << 20))


def test_only_who_has_the_right_reads_and_nobody_once_it_is_revoked(tmp_path: Path) -> None:
    with running_farm(tmp_path / "farm") as farm:
        farm.registry.confidential.declare("test", farm.app, "visits")
        for name, granted in (
            ("writer", rights([], ["visits"])),
            ("reader", rights(["visits"], [])),
            ("asker", rights(["visits"], [])),
            ("guest", rights(["notes"], ["notes"])),
        ):
            farm.enrol(tmp_path / f"{name}.json", name, granted)
        run(_scenario(farm, tmp_path))


async def _scenario(farm: Farm, folder: Path) -> None:
    url = farm.served.sync_url

    def program(name: str) -> Any:
        return open_peer(folder / f"{name}.db", url, mesh="farm", identity=folder / f"{name}.json")

    async with (
        program("writer") as writer,
        program("reader") as reader,
        program("guest") as guest,
        program("asker") as asker,
    ):
        for each in (reader, guest):
            await each.asubscribe("SELECT * FROM visits")
        await asker.asubscribe("SELECT * FROM visits WHERE who = 'Eve'")
        # Its log is new, and so is its author: it has a key of its own from the first session on.
        await until(lambda: writer._core.collection_keys.owner == writer.author)
        await writer.aexecute("INSERT INTO visits DOCUMENTS ({'_id': 1, 'who': 'Ada'})")
        await shown(reader, ["Ada"])
        await until(lambda: len(farm.rows(VISITS)) == 1)
        assert farm.rows(VISITS) == [{"who": "Ada"}]
        # Nor does it depend on what is asked, and by whom: that may be for others.
        await until(lambda: has_visits(guest) and has_visits(asker))
        assert (await guest.aexecute(VISITS)).rows == []
        for each in (guest, reader):
            assert b"Ada" not in words(each)
        assert opens(reader, writer)
        # The reader is out: what comes next is under another key.
        before = writer._core.collection_keys.newest("visits")
        number = farm.registry.ledger.newest(farm.app, 1, "reader")[0].number
        farm.registry.revocations.revoke("test", farm.app, number, 0)
        await until(lambda: writer._core.collection_keys.newest("visits") > before)
        await writer.aexecute("INSERT INTO visits DOCUMENTS ({'_id': 2, 'who': 'Grace'})")
        await until(lambda: len(farm.rows(VISITS)) == 2)
        await shown(writer, ["Ada", "Grace"])
        assert not opens(reader, writer)


async def shown(program: Any, names: list[str]) -> None:
    deadline = time.monotonic() + 20
    while [row["who"] for row in (await program.aexecute(VISITS)).rows] != names:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def opens(reader: Any, writer: Any) -> bool:
    """Say whether one has the key of what another wrote last."""
    author, log = writer._core.author, writer._core.log
    number = max(n for n in range(1, log.held(author) + 1) if _is_visit(writer, log.fetch(author, n)))
    stamp, (change,) = decode_body(bytes(log.fetch(author, number)))
    schema = writer._core.schemas[change[1]]
    keys = reader._core.collection_keys
    return keys.reveal(author, number, stamp, 0, change, schema) is not None


def _is_visit(program: Any, body: Any) -> bool:
    change = decode_body(bytes(body))[1][0]
    return change[0] != CLOCK and program._core.schemas[change[1]].collection == "visits"


def has_visits(program: Any) -> bool:
    """Say whether a program holds some, readable or not."""
    return any(_is_visit(program, body) for _, _, _, body in program._core.log.since(0, 1 << 20))
