"""Emulated boards, their air and the side channels of `hedgerow flash`, started and stopped together."""

import contextlib
import fcntl
import signal
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from types import FrameType

from hedgerow.errors import HedgerowError
from hedgerow.limits import MAX_NAME
from hedgerow_boards.air import Air
from hedgerow_boards.board import Board
from hedgerow_boards.sensor import SensorSeries
from hedgerow_cli.flashing.side_channel import SideChannel

_DATA = "data/seattle-hourly-temperature-2010.csv"


@dataclass
class Bench:
    """What runs: `boards`, the socket of their air, the air itself if it is ours."""

    air_path: str
    air: Air | None
    boards: list[Board] = field(default_factory=list)


def load_series(data: Path | None) -> SensorSeries:
    """The last column of a CSV file, or of the recorded temperatures that come with the package."""
    if data is None:
        with resources.as_file(resources.files("hedgerow_boards").joinpath(_DATA)) as path:
            return SensorSeries.from_csv(path)
    try:
        series = SensorSeries.from_csv(data)
    except (OSError, UnicodeDecodeError) as error:
        raise HedgerowError("SERIES_INVALID", str(error)) from None
    if series.name in ("board", "n") or series.name.startswith("_") or not 0 < len(series.name) <= MAX_NAME:
        raise HedgerowError("SERIES_INVALID", f"{data}: a reading cannot have a field {series.name!r}")
    return series


@contextlib.contextmanager
def emulated(
    profiles: Sequence[str],
    air: str = "",
    data: Path | None = None,
    directory: Path | None = None,
    seed: int = 0,
    *,
    air_enabled: bool = True,
    air_log: Path | None = None,
) -> Iterator[Bench]:
    """A board of each of `profiles`, as bought and on, with its part of the series; all is gone at the end.

    `air` names the socket of one that runs; without it there is one for these boards, and its frames go
    to `air_log`. With `directory` the boards' flash stays there and is gone on with; EMULATOR_DIRECTORY while
    another process does that.
    """
    series = load_series(data)
    with contextlib.ExitStack() as stack:
        if directory is not None:
            stack.enter_context(_alone(directory))
        # A Unix socket's name may have only about 100 bytes, so not below `directory`.
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hedgerow-")))
        own = None
        if not air:
            own = Air(str(temporary / "air"), seed=seed, enabled=air_enabled, log=air_log)
            stack.enter_context(own)
        bench = Bench(air or str(temporary / "air"), own)
        for i, profile in enumerate(profiles):
            board = Board(
                name_of(i),
                (directory or temporary).absolute() / name_of(i),
                profile=profile,
                address=f"c0:00:00:00:00:{i + 1:02x}",
                air=bench.air_path,
                sensor=series.slice(i, len(profiles)),
                seed=seed + i,
                stock=True,
            )
            bench.boards.append(stack.enter_context(board))
            stack.enter_context(SideChannel(board))
        for board in bench.boards:
            board.power_on()
        yield bench


def name_of(index: int) -> str:
    """Return what an emulated board is called, from 0 on."""
    return f"board{index + 1}"


@contextlib.contextmanager
def _alone(directory: Path) -> Iterator[None]:
    """Two processes with one flash mapped would tear it to pieces; the lock ends with its process."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HedgerowError("EMULATOR_DIRECTORY", str(directory)) from None
        yield


def wait_for_end() -> None:
    """Until Ctrl-C or SIGTERM."""
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
