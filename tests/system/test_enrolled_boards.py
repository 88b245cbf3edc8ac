"""Boards with identities in a production mesh: real VMs on the emulated air, a gateway, a Big Peer."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from farm_kit import ALLOWED, Farm, running_farm
from system_kit import firmware

from hedgerow.crypto.credentials import Credential
from hedgerow.custody.receipt import PROOF_MAC, Receipt
from hedgerow.log import ENTRY_SEAL, STATE_RECEIPT
from hedgerow.trust.seal import SEAL_SIGNED, Seal
from hedgerow_bigpeer.auth import manage
from hedgerow_boards.air import Air
from hedgerow_boards.board import Board
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.flashing.flash import Options, flash_board
from hedgerow_cli.lifeline import Child
from hedgerow_gateway.enrolment import to_bytes

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HOME = Path(__file__).parents[1]
sys.path[:0] = [str(HOME / "firmware"), str(HOME / "core"), str(HOME / "core" / "portable")]

from device_rig import errors, open_image  # noqa: E402
from keeper import Keeper  # noqa: E402

Boards = Callable[..., list[Board]]
COUNT = 150
#: As boards and gateways have it; the Big Peer knows the name alone.
MESH = "farm:a secret of the fields"
#: Records at once, and says what the board's keys have been used for.
APP = """
import asyncio

async def main(peer):
    for n in range(150):
        peer.execute("INSERT INTO readings DOCUMENTS (:r)", r={"t": n, "h": n})
    print("ack all")
    said = None
    while True:
        keys = peer.keys
        now = keys and (keys.handshakes, keys.resumed, keys.multiplications, keys.checks)
        if now and now != said:
            print("keys", *now)
            said = now
        await asyncio.sleep_ms(50)
"""
SERIES = SensorSeries("celsius", [f"{20 + n // 10}.{n % 10}" for n in range(100)])


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        yield running


def until(condition: Callable[[], object], what: str, seconds: float = 200) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


def install(board: Board, *files: Path, **settings: object) -> None:
    config = {"name": board.name, "field": "celsius", "mesh": MESH, "seal_s": 2, **settings}
    options = Options(board=board.profile.name, config=config, files=files)
    flash_board(board.port, options, lambda what, done, total: None, firmware())


def enrol(board: Board, farm: Farm, user: str, permissions: Any = ALLOWED) -> dict[str, Any]:
    said = {"authenticated": True, "userID": user, "expirationSeconds": 3600, "permissions": permissions}
    command = [
        sys.executable, "-m", "hedgerow_cli", "enroll", "--port", board.port, "--url", farm.served.url,
        "--provider", "hook", "--token", json.dumps(said), "--json",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def kept(board: Board, name: str) -> bytes:
    """Return a value of the board's vault, as it lies in the flash: behind its name."""
    partition = board.partition("nvs")
    flash = board.read_flash(partition.offset, partition.size)
    at = flash.rindex(b"hedgerow" + name.encode())
    return flash[at + 8 + len(name) :][:89]


@contextlib.contextmanager
def gateway(farm: Farm, air: Air, data: Path, keys: bool = True) -> Iterator[Child]:
    data.mkdir(exist_ok=True)
    if not (data / "identity.json").exists():
        farm.enrol(data / "identity.json", "gateway")
    command = [
        sys.executable, "-m", "hedgerow_cli", "gateway", "run", "--data", str(data), "--air", air.path,
        "--mesh", MESH, "--uplink", farm.served.sync_url, "--time", "trust", "--http", "off", "--json",
        *(["--board-keys"] if keys else []),
    ]  # fmt: skip
    child = Child(command, data / "gateway.log")
    try:
        yield child
    finally:
        child.stop()


def held(farm: Farm, author: bytes) -> int:
    """Up to which number the Big Peer has receipted an author."""
    try:
        return int(farm.status(author)["receipted"])
    except ValueError:
        return 0


def sessions(board: Board, since: int) -> tuple[int, ...]:
    """Return what the app said last of the board's keys: handshakes, resumed contacts, multiplications."""
    return (used(board, since) or [(0, 0, 0)])[-1][:3]


def used(board: Board, since: int) -> list[tuple[int, ...]]:
    """Return all that it said; at the end the multiplications for what others have signed."""
    found = [line.text.split()[1:] for line in board.console_since(since)[0] if line.text.startswith("keys ")]
    return [tuple(map(int, words)) for words in found]


def test_readings_go_up_under_signed_seals_and_meeting_again_computes_nothing(
    boards: Boards, air: Air, farm: Farm, tmp_path: Path
) -> None:
    """A session for a backlog, a power cut, another session; what was recorded before the keys goes too."""
    (board,) = boards(sensor=SERIES, air=air.path, profile="esp32c3")
    app = tmp_path / "app.py"
    app.write_text(APP)
    install(board, app)
    former = bytes.fromhex(board.wait_for("boot ", 20).text.split("=")[1])
    board.wait_for("ack all", 30)
    # Between the keys and the log: no private key leaves the board.
    answer = enrol(board, farm, "b1")
    author = bytes.fromhex(answer["author"])
    since = board.console_count
    assert author != former
    with gateway(farm, air, tmp_path / "gw"):
        until(lambda: held(farm, author) >= COUNT and held(farm, former) >= COUNT, "receipted")
        until(lambda: sessions(board, since)[0], "a handshake")
        assert sessions(board, since)[1:] == (0, 6)
        board.power_off()
        since = board.console_count
        board.power_on()
        board.wait_for("ack all", 30, since)
        until(lambda: held(farm, author) >= 2 * COUNT, "receipted")
        until(lambda: sessions(board, since)[1], "met again")
        assert sessions(board, since) == (0, 1, 0)
        until(lambda: freed(board, since) >= 2 * COUNT, "freed")
        # One batch is verified, before or after that, for what the board wrote before it had keys.
        until(lambda: 2 in [line[3] for line in used(board, 0)], "a batch")
        # Somebody is revoked: by the air or by its next session the board hears of it, and verifies that.
        thief = farm.enrol(tmp_path / "thief.json", "thief").claims
        manage.revoke(farm.registry, "test", "farm", thief.cti, 0)
        board.power_off()
        since = board.console_count
        board.power_on()
        until(lambda: 2 in [line[3] for line in used(board, since)], "a revocation")
        until(lambda: held(farm, author) >= 3 * COUNT, "receipted")
    rows = farm.rows("SELECT COUNT(*) AS n FROM readings")
    assert rows[0]["n"] == 4 * COUNT
    board.power_off()
    assert signed(board, answer)
    # What the board wrote is freed by a proof, what it wrote before it had keys by a batch.
    found = [Receipt.decode(value) for _, value in open_image(board).items(STATE_RECEIPT)]
    kinds = {receipt.author: receipt.proof_kind for receipt in found}
    assert (kinds[author], kinds[former]) == (PROOF_MAC, 0)
    # Where memory fails, what can be sent again is given up: tests/firmware bounds how often.
    assert errors(board) in ([], ["DEVICE_MEMORY"])
    secret = kept(board, "keys")[:64]
    export = board.read_flash(0x280000, 0x180000)
    assert secret[:32] not in export and secret[32:] not in export


def freed(board: Board, since: int) -> int:
    """Return the number up to which the board knows its operations to be receipted."""
    lines = [line.text for line in board.console_since(since)[0] if line.text.startswith("receipt op=")]
    return int(lines[-1].split("=")[1]) if lines else 0


def by_gateway(board: Board, farm: Farm, identity: Path) -> dict[str, Any]:
    """Enrol a board by a gateway with a delegation: the Big Peer is not asked."""
    farm.enrol(identity, "gateway", kinds=["delegate"])
    command = [sys.executable, "-m", "hedgerow_cli"]
    for words in (
        ["gateway", "delegate", "--collection", "readings", "--peers", "1", "--url", farm.served.url],
        ["enroll", "--by-gateway", "--port", board.port],
    ):
        asked = [*command, *words, "--identity", str(identity), "--json"]
        done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_a_board_that_a_gateway_enrols_seals_and_is_countersigned(
    boards: Boards, air: Air, farm: Farm, tmp_path: Path
) -> None:
    (board,) = boards(sensor=SERIES, air=air.path, profile="esp32c3")
    app = tmp_path / "app.py"
    app.write_text(APP.replace("150", "30"))
    install(board, app, seal_s=3600)
    board.wait_for("ack all", 30)
    since = board.console_count
    answer = by_gateway(board, farm, tmp_path / "gw" / "identity.json")
    # A clock record and 30 readings, which the next boot seals: it has a former author to look after.
    board.wait_for("ack all", 30, since)
    since = board.console_count
    board.reset()
    board.wait_for("ack all", 30, since)
    author = bytes.fromhex(answer["author"])
    with gateway(farm, air, tmp_path / "gw"):
        until(lambda: held(farm, author) >= 31, "receipted")
    board.power_off()
    assert signed(board, answer)[0] == (1, 31)
    found = farm.registry.audit.newest(9, action="credential.countersign")
    assert [row.subject for row in found] == [answer["number"]]
    command = ["gateway", "boards", "--identity", str(tmp_path / "gw" / "identity.json"), "--json"]
    shown = subprocess.run([sys.executable, "-m", "hedgerow_cli", *command], capture_output=True, check=True)
    (row,) = json.loads(shown.stdout)["boards"]
    assert (row["number"], row["author"], row["state"]) == (answer["number"], author.hex(), "countersigned")


def signed(board: Board, answer: dict[str, Any]) -> list[tuple[int, int]]:
    """Return the ranges of the seals in a board's log, all of which its credential's key has signed."""
    log = open_image(board)
    assert log.author.hex() == answer["author"]
    name = Credential(to_bytes(answer["credential"])).name
    found = [
        Seal.decode(body) for kind, _, _, body in log.read(log.author, 0, 0, 1 << 20) if kind == ENTRY_SEAL
    ]
    assert {(seal.kind, seal.credential) for seal in found} == {(SEAL_SIGNED, name)}
    return [(seal.first, seal.last) for seal in found]


def test_a_board_with_keys_says_nothing_to_who_has_none(
    boards: Boards, air: Air, farm: Farm, tmp_path: Path
) -> None:
    (board,) = boards(sensor=SERIES, air=air.path, profile="esp32c3")
    app = tmp_path / "app.py"
    app.write_text(APP)
    install(board, app)
    enrol(board, farm, "b2")
    board.wait_for("ack all", 30)
    with Keeper(air.path, MESH) as keeper:
        own = keeper.log.author
        until(lambda: len(keeper.errors) >= 2, "refused")
        assert {error.split(":")[0] for error in keeper.errors} == {"SESSION_PLAIN"}
        assert keeper.log.authors() == [own]
        board.wait_for("error SESSION_PLAIN", 10)
        assert sessions(board, 0)[0] == 0


def test_a_board_without_room_for_keys_is_not_enrolled(boards: Boards, air: Air, farm: Farm) -> None:
    (board,) = boards(sensor=SERIES, air=air.path, profile="esp32")
    install(board)
    command = [
        sys.executable, "-m", "hedgerow_cli", "enroll", "--port", board.port, "--url", farm.served.url,
        "--provider", "hook", "--token", "{}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1 and done.stderr.startswith("DEVICE_MEMORY: ")


@pytest.mark.parametrize("after", [0, 20, 60, 100])
def test_keys_are_there_whole_or_not_at_all(boards: Boards, air: Air, after: int) -> None:
    """Power is cut while the vault is written; whatever is there then, the same keys stay."""
    (board,) = boards(profile="esp32c3", air=air.path)
    install(board)
    program = "from hedgerow_device import enrolling; print(enrolling.state())"
    board.cut_power(after_bytes=after, partition="nvs")
    command = [sys.executable, "-m", "mpremote", "connect", board.port, "exec", program]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            board.wait_power_cut(20)
        finally:
            process.kill()
    board.power_on()
    first = board.mpremote("exec", program).stdout.strip().splitlines()[-1]
    assert board.mpremote("exec", program).stdout.strip().splitlines()[-1] == first
    assert "'credential': ''" in first
