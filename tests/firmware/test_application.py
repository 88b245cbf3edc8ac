"""/app.py on emulated boards: it gets a ready peer, fails with a code, and is started again."""

from collections.abc import Callable
from pathlib import Path

from device_rig import SERIES, acks, check_log, errors, install
from keeper import Keeper

from hedgerow.codec.schema import KEEP, schema_for
from hedgerow.operation import INSERT
from hedgerow_boards.air import Air
from hedgerow_boards.board import Board

Boards = Callable[..., list[Board]]

APP = """
import asyncio
from hedgerow_device.counting import Counting
from hedgerow_device.sensor import open_sensor


async def main(peer):
    readings = Counting(peer, "readings")
    sensor = open_sensor(peer.settings["sensor"])
    while True:
        value = sensor.read()
        reading = {"board": peer.name, "n": readings.count + 1, "temperature_f": value}
        result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r=reading)
        print("ack", reading["n"], "op=%d" % result.mutated[0][1], "value=%s" % value)
        await asyncio.sleep_ms(50)
"""

FAILS_ONCE = """
import hedgerow_device


async def main(peer):
    if not hasattr(hedgerow_device, "tried"):
        hedgerow_device.tried = True
        raise ValueError("no luck")
    print("second try", peer.name)
"""


def start(board: Board, firmware: Path, source: str) -> None:
    path = board.directory / "app.py"
    path.write_text(source)
    board.mpremote("cp", str(path), ":/app.py")
    install(board, firmware)


def test_an_application_records_and_counts_on_over_power_cuts(boards: Boards, firmware: Path) -> None:
    (board,) = boards(sensor=SERIES)
    start(board, firmware, APP)
    board.wait_for("ack 5 ", 10)
    board.cut_power(after_bytes=60, partition="hedgerow")
    board.wait_power_cut(10)
    since = board.console_count
    board.power_on()
    board.wait_for("boot 2 ", 10, since)
    last = acks(board)[-1].n
    board.wait_for(f"ack {last + 5} ", 10)
    board.power_off()
    assert [ack.n for ack in check_log(board)][-1] >= last + 5


def test_a_failing_application_is_named_and_started_again(boards: Boards, firmware: Path) -> None:
    (board,) = boards()
    start(board, firmware, FAILS_ONCE)
    assert "no luck" in board.wait_for("error APP_FAILED", 10).text
    board.wait_for("second try", 10)
    assert errors(board).count("APP_FAILED") == 1
    assert acks(board) == []


WATCHES = """
import asyncio


async def main(peer):
    peer.kinds["plants"] = 0
    stop = peer.observe("SELECT * FROM plants", lambda changes: print("plants", len(changes.rows)))
    for at in range(3):
        peer.execute("INSERT INTO plants DOCUMENTS (:p)", p={"_id": "p%d" % at, "height": at})
    stop()
    peer.execute("UPDATE plants SET height = 9 WHERE _id = 'p1'")
    peer.execute("DELETE FROM plants WHERE _id = 'p2'")
    for at in range(70):
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"n": at})
    try:
        print("rows", len(peer.execute("SELECT * FROM readings").rows))
    except Exception as error:
        print("refused", error.code)
    turns = 0

    async def count():
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep_ms(0)

    counting = asyncio.create_task(count())
    result = await peer.aexecute("SELECT height FROM plants WHERE height > :low ORDER BY height", low=1)
    counting.cancel()
    print("tall", [row["height"] for row in result.rows], turns > 0)
    author = peer.author
    last = peer.log.held(author)
    kept = [n for n in range(2, 7) if peer.keeps(author, n, peer.log.fetch(author, n))]
    print("kept", kept, peer.keeps(author, last, peer.log.fetch(author, last)))
"""


def test_observers_slow_statements_and_what_is_kept(boards: Boards, firmware: Path) -> None:
    (board,) = boards(profile="esp32c3")
    start(board, firmware, WATCHES)
    board.wait_for("kept ", 20)
    words = ("plants", "refused", "tall", "kept")
    said = [line.text for line in board.console if line.text.startswith(words)]
    assert said == [
        "plants 0",
        "plants 1",
        "plants 2",
        "plants 3",
        "refused QUERY_ROWS",
        "tall [9] True",
        # The fourth operation made a document that the sixth has deleted; readings are not carried along.
        "kept [2, 3, 5, 6] False",
    ]
    assert set(errors(board)) == {"BLE_UNAVAILABLE"}


ASKS = """
import asyncio


async def main(peer):
    for at in range(500):
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"board": peer.name, "n": at})
        await asyncio.sleep_ms(0)
    for text in ("SELECT count(*) AS c, max(n) AS n FROM readings",
                 "SELECT n FROM readings WHERE n > 490 ORDER BY n DESC LIMIT 3"):
        result = await peer.aexecute(text)
        print("answered", result.rows)
"""


def test_the_smallest_heap_answers_questions_over_500_readings(
    boards: Boards, firmware: Path, air: Air
) -> None:
    (board,) = boards(profile="esp32", air=air.path)
    start(board, firmware, ASKS)
    assert "'c': 500" in board.wait_for("answered ", 40).text
    board.wait_for("answered [{'n': 499}, {'n': 498}, {'n': 497}]", 20)
    assert errors(board) == []


ASKS_TOO_MUCH = """
import asyncio
from hedgerow.errors import HedgerowError


async def main(peer):
    for at in range(40):
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"board": peer.name, "n": at})
        if at % 10 == 9:
            try:
                result = await peer.aexecute("SELECT board, count(*) AS c FROM readings GROUP BY board")
                print("answered", result.rows[0]["c"])
            except HedgerowError as error:
                print("refused", error.code)
        await asyncio.sleep_ms(100)
    print("recorded", at + 1)
"""


def test_a_statement_that_does_not_fit_is_refused_and_the_board_goes_on(
    boards: Boards, firmware: Path, air: Air
) -> None:
    (board,) = boards(profile="esp32", air=air.path)
    start(board, firmware, ASKS_TOO_MUCH)
    with Keeper(air.path) as keeper:
        board.wait_for("recorded 40", 30)
        author = bytes.fromhex(board.wait_for("boot ", 5).text.split("=")[1])
        keeper.wait_for(author, 41, 20)
    asked = [line.text for line in board.console if line.text.startswith(("answered", "refused"))]
    assert len(asked) == 4
    assert set(asked) <= {"refused DEVICE_MEMORY", "answered 10", "answered 20", "answered 30", "answered 40"}
    assert "APP_FAILED" not in errors(board)


WANTS = """
import asyncio


async def main(peer):
    peer.subscribe("SELECT * FROM config")
    number = shown = 0
    while True:
        number += 1
        result = peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"n": number})
        print("ack", number, "op=%d" % result.mutated[0][1], "value=1")
        if number % 4 == 0:
            try:
                for row in await peer.aexecute("SELECT * FROM config"):
                    if row["every"] != shown:
                        shown = row["every"]
                        print("config", shown)
            except Exception as error:
                print("refused", error.code)
        await asyncio.sleep_ms(500)
"""


def test_the_smallest_heap_wants_documents_and_goes_on_recording_and_syncing(
    boards: Boards, firmware: Path, air: Air
) -> None:
    (board,) = boards(profile="esp32", air=air.path)
    start(board, firmware, WANTS)
    with Keeper(air.path) as keeper:
        board.wait_for("ack 6 ", 30)
        author = bytes.fromhex(board.wait_for("boot ", 5).text.split("=")[1])
        for every in (60, 7):
            document = {"every": every}
            schema = schema_for("config", KEEP, document)
            change = [INSERT, schema.name, "north", schema.pack(document)]
            keeper.peer.write([change], [schema], keeper.now())
            since = acks(board)[-1]
            # Two statements, and a few sessions that bring what is wanted if there is room.
            board.wait_for(f"ack {since.n + 12} ", 30)
            keeper.wait_for(author, since.number + 8, 20)
    # Memory may run out at times: what was under way then is done again.
    assert set(errors(board)) <= {"DEVICE_MEMORY"}
    assert len(errors(board)) < 30
    refused = [line.text for line in board.console if line.text.startswith("refused")]
    assert set(refused) <= {"refused DEVICE_MEMORY"}


def test_what_hangs_before_the_program_is_ended_by_the_watchdog(boards: Boards, firmware: Path) -> None:
    (board,) = boards()
    path = board.directory / "app.py"
    path.write_text("print('hangs')\nwhile True:\n    pass\n")
    board.mpremote("mkdir", ":/hedgerow_device")
    board.mpremote("cp", str(path), ":/hedgerow_device/app.py")
    install(board, firmware)
    board.wait_for("hangs", 10)
    assert 0 < board.watchdog_s <= 30
    # At the REPL, where an interrupt leaves it, a person has time.
    board.mpremote("exec", "pass")
    assert 3000 < board.watchdog_s <= 3600
