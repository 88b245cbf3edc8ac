"""What the real firmware has loaded on an emulated board: while it records, and once a session was held."""

import importlib.util
import json
import tempfile
import time
from pathlib import Path
from types import ModuleType

from hedgerow_boards.air import Air
from hedgerow_boards.board import Board
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.firmware_files import ROM, rom_image

READINGS = 10
#: A board with room to spare: what is loaded is the question here, not whether it fits.
PROFILE = "esp32c3"
_FIELD = "temperature"
_PROBE = Path(__file__).parent / "vm" / "probe.py"
_KEEPER = Path(__file__).parents[1] / "tests" / "firmware" / "keeper.py"
_SECONDS = 30
_LOOK_SECONDS = 0.1


def resident(files: list[tuple[Path, str]]) -> dict[str, list[str]]:
    """Names of the modules loaded while the board "recording", and after a "session" with a keeper."""
    with tempfile.TemporaryDirectory(prefix="hedgerow-") as folder:
        root = Path(folder)
        values = [f"{20 + at // 10}.{at % 10}" for at in range(100)]
        with (
            Air(str(root / "air"), seed=1) as air,
            Board(
                "board", root / "board", profile=PROFILE, air=air.path, sensor=SensorSeries(_FIELD, values)
            ) as board,
        ):
            board.power_on()
            _install(board, files, root)
            board.wait_for(f"ack {READINGS} ", _SECONDS)
            recording = _modules(board, "hedgerow_device.recorder")
            with _keeper(air.path):
                board.wait_for("receipt ", _SECONDS)
                session = _modules(board, "hedgerow.sync.exchange")
            return {"recording": recording, "session": session}


def _install(board: Board, files: list[tuple[Path, str]], root: Path) -> None:
    settings = root / "hedgerow.json"
    settings.write_text(
        json.dumps({"name": "board", "field": _FIELD, "interval_ms": 50, "readings": READINGS})
    )
    staged = root / "staged"
    image = root / "firmware.romfs"
    image.write_bytes(rom_image(files))
    for local, name in files:
        if name.startswith(f"{ROM}/"):
            continue
        target = staged / name[1:]
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(local.read_bytes())
    (staged / "app.py").write_bytes(_PROBE.read_bytes())
    copy = [
        "romfs",
        "deploy",
        str(image),
        "+",
        "cp",
        "-r",
        f"{staged}/.",
        ":/",
        "+",
        "cp",
        str(settings),
        ":/hedgerow.json",
        "+",
        "reset",
    ]
    board.mpremote(*copy)


def _modules(board: Board, wanted: str) -> list[str]:
    """The newest list that the board has said whole, once it has a module of the state that is asked for.

    Raises TimeoutError if the board never says that.
    """
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        lists: list[tuple[int, list[str]]] = []
        for line in board.console:
            if line.text.startswith("modules "):
                count, names = int(line.text.split()[1]), line.text.split()[2:]
                if not lists or lists[-1][0] != count:
                    lists.append((count, []))
                lists[-1][1].extend(names)
        whole = [names for count, names in lists if len(names) == count]
        if whole and wanted in whole[-1]:
            return sorted(whole[-1])
        time.sleep(_LOOK_SECONDS)
    raise TimeoutError(f"no list of modules with {wanted} in {_SECONDS} s")


def _keeper(air: str) -> "ModuleType":
    """The small keeper that the firmware's tests use for the other end of a board's link."""
    spec = importlib.util.spec_from_file_location("keeper", _KEEPER)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    keeper: ModuleType = module.Keeper(air)
    return keeper
