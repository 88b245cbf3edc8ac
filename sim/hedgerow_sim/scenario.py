"""Scenarios: small TOML files that say what is where, what happens, and for how long.

Every key has a place in the tables below; what is not known, or out of range, is refused with its name.
"""

import dataclasses
import json
import shlex
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from hedgerow.errors import HedgerowError
from hedgerow_sim import limits

_Built = TypeVar("_Built")

LAYOUTS = ("line", "field", "grid", "file")
ENGINES = ("mesh", "naive_flood", "connect_always")
EVENTS = (
    "partition",
    "heal",
    "power_cut",
    "reboot",
    "lose_flash",
    "backup",
    "restore",
    "gateway_down",
    "gateway_up",
    "move",
    "want",
    "document",
)
UPLINKS = ("big_peer", "keeper", "none")


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happens at `at_s`: to a `share` of the boards, to gateway number `gateway`, or along
    the line x = `x` (partition)."""

    at_s: float
    kind: str
    share: float = 0.5
    gateway: int = 0
    x: float = 0.0
    spread_s: float = 0.0
    metres: float = 0.0

    @property
    def over_s(self) -> float:
        """When all of it has happened; who is carried walks a metre a second."""
        return self.at_s + self.spread_s + self.metres


@dataclasses.dataclass(frozen=True)
class Source:
    """Somebody else in the band, in bursts (air.bursts.Interference): silent and busy for so long on average,
    at `level` dBm within `radius_m` of (x, y), 0 for everywhere."""

    idle_ms: float
    busy_ms: float
    level: float = -40.0
    x: float = 0.0
    y: float = 0.0
    radius_m: float = 0.0


@dataclasses.dataclass(frozen=True)
class Scenario:
    """What is simulated; `source` is what names it on a command line, `changed` what is not as it says there.

    Place: `layout` with `boards` of them; `spacing_m` of a line or grid; `neighbours`, on average, of a field
    (its size follows from that and `range_m`); `file` is a CSV of the package with columns x_m and y_m.
    Gateways stand at [x, y], in metres, in `gateways`, and in so many `corners` of the boards' field.
    `uplink`: each gateway to its Big Peer (`big_peers`, shared in turn), `keeper`: the gateways are keepers
    themselves, `none`: nothing is ever receipted.
    Radio: `range_m` (median), `loss` besides collisions, `disc`: no shadowing; `interference`.
    Time: `hours`, then up to `settle_hours` without new readings until all has arrived. `reading_s` between
    two readings of a board, 0 for none; a board is switched on within `boot_s`, its first reading comes
    within `start_s` of that.
    Boards: share of `leaves`, which sleep between their readings; share on the real `flash` log, of so many
    `sectors` of 4 KiB;
    `drift_ppm` at most; `budget_mah` a day, 0 for none. `expect_connections`: more are a failure, -1 for any.
    """

    name: str = ""
    source: str = ""
    changed: tuple[str, ...] = ()
    about: str = ""
    engine: str = "mesh"
    layout: str = "line"
    boards: int = 5
    spacing_m: float = 8.0
    neighbours: float = 12.0
    file: str = ""
    gateways: tuple[tuple[float, float], ...] = ()
    corners: int = 0
    uplink: str = "big_peer"
    big_peers: int = 1
    range_m: float = 10.0
    loss: float = 0.0
    disc: bool = False
    hours: float = 1.0
    settle_hours: float = 1.0
    reading_s: float = 60.0
    boot_s: float = 10.0
    start_s: float = 60.0
    leaves: float = 0.0
    flash: float = 0.0
    sectors: int = 32
    drift_ppm: int = 50
    budget_mah: float = 0.0
    expect_connections: int = -1
    events: tuple[Event, ...] = ()
    interference: tuple[Source, ...] = ()

    @property
    def duration_s(self) -> float:
        """Virtual seconds in which readings are made."""
        return self.hours * 3600

    def replay(self, seed: int) -> str:
        """Return the command that runs the same."""
        words = ["hedgerow", "sim", self.source or self.name, "--seed", str(seed)]
        return shlex.join(words + [word for each in self.changed for word in ("--set", each)])


_RANGES: dict[str, tuple[float, float]] = {
    "boards": (1, limits.BOARDS),
    "spacing_m": (0.1, 10_000),
    "neighbours": (1, 1000),
    "corners": (0, 4),
    "big_peers": (1, 4),
    "range_m": (0.1, 10_000),
    "loss": (0, 0.99),
    "hours": (0.001, limits.HOURS),
    "settle_hours": (0, limits.HOURS),
    "reading_s": (0, 86_400 * 30),
    "boot_s": (0, 86_400),
    "start_s": (0.001, 86_400 * 30),
    "leaves": (0, 1),
    "flash": (0, 1),
    "sectors": (12, 4096),
    "drift_ppm": (0, 500),
    "budget_mah": (0, 100_000),
}
_CHOICES = {"layout": LAYOUTS, "engine": ENGINES, "uplink": UPLINKS}


def _bad(what: str) -> HedgerowError:
    return HedgerowError("SCENARIO_INVALID", what)


def names() -> list[str]:
    """The scenarios that come with the package."""
    folder = resources.files("hedgerow_sim") / "scenarios"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load(wanted: str, /, **changes: Any) -> Scenario:
    """Read a scenario by its name, or a file; `changes` replace what is in it.

    Raises SCENARIO_UNKNOWN if there is none, SCENARIO_INVALID for one that makes no sense.
    """
    if wanted in names():
        text = (resources.files("hedgerow_sim") / "scenarios" / f"{wanted}.toml").read_text(encoding="utf-8")
    else:
        path = Path(wanted)
        if not path.is_file():
            raise HedgerowError("SCENARIO_UNKNOWN", f"{wanted!r}; there are {', '.join(names())}")
        text = path.read_text(encoding="utf-8")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(f"{wanted}: {error}") from error
    changed = tuple(f"{key}={_written(value)}" for key, value in changes.items())
    return parse({"name": Path(wanted).stem, **table, **changes, "source": wanted, "changed": changed})


def change(text: str) -> tuple[str, Any]:
    """Return (key, value) of `key=value`, the value as in TOML. Raises SCENARIO_INVALID."""
    key, _, value = text.partition("=")
    try:
        table = tomllib.loads(f"value = {value}")
    except tomllib.TOMLDecodeError as error:
        raise _bad(f"{text!r}: {error}") from error
    if len(table) > 1 or key.strip() in ("source", "changed"):
        raise _bad(f"{text!r}")
    return key.strip(), table["value"]


def _written(value: Any) -> str:
    """Return a value as in TOML: what change() reads."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_written(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_written(each) for each in value) + "]"
    return json.dumps(value)


def parse(table: dict[str, Any]) -> Scenario:
    """Check a scenario's values and return it."""
    values = dict(table)
    for key in ("events", "gateways", "interference"):
        if not isinstance(values.get(key, []), list | tuple):
            raise _bad(f"{key} is {values[key]!r}")
    values["events"] = tuple(_event(entry) for entry in values.get("events", ()))
    values["interference"] = tuple(_source(entry) for entry in values.get("interference", ()))
    values["gateways"] = tuple(_place(entry) for entry in values.get("gateways", ()))
    scenario = _build(Scenario, values, "")
    for key, (low, high) in _RANGES.items():
        if not low <= getattr(scenario, key) <= high:
            raise _bad(f"{key} is {getattr(scenario, key)}, not between {low} and {high}")
    for key, choices in _CHOICES.items():
        if getattr(scenario, key) not in choices:
            raise _bad(f"{key} is {getattr(scenario, key)!r}, not one of {', '.join(choices)}")
    if scenario.uplink != "big_peer" and {"backup", "restore"} & {event.kind for event in scenario.events}:
        raise _bad(f"only Big Peers have backups, and there is none with uplink = {scenario.uplink!r}")
    if (scenario.layout == "file") != bool(scenario.file):
        raise _bad("a file goes with layout = 'file'")
    return scenario


def _event(table: Any) -> Event:
    event = _build(Event, dict(table), "event: ")
    if event.kind not in EVENTS:
        raise _bad(f"event {event.kind!r}, not one of {', '.join(EVENTS)}")
    if event.at_s < 0 or not 0 <= event.share <= 1 or event.gateway < 0 or event.spread_s < 0:
        raise _bad(f"event {event}")
    return event


def _source(table: Any) -> Source:
    source = _build(Source, dict(table), "interference: ")
    least = min(source.idle_ms, source.busy_ms)
    if least < 0.01 or source.radius_m < 0 or not -120 <= source.level <= 20:
        raise _bad(f"interference {source}")
    return source


def _place(value: Any) -> tuple[float, float]:
    try:
        x, y = value
        return float(x), float(y)
    except (TypeError, ValueError) as error:
        raise _bad(f"gateway at {value!r}") from error


def _build(kind: type[_Built], values: dict[str, Any], where: str) -> _Built:
    """Make a dataclass of a table whose values have the types that its fields say."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        if key not in fields:
            raise _bad(f"{where}no key {key!r}")
        wanted = fields[key].type
        kinds: dict[Any, bool] = {
            float: isinstance(value, int | float) and not isinstance(value, bool),
            int: isinstance(value, int) and not isinstance(value, bool),
            str: isinstance(value, str),
            bool: isinstance(value, bool),
        }
        if not kinds.get(wanted, True):
            raise _bad(f"{where}{key} is {value!r}")
    try:
        return kind(**values)
    except TypeError as error:
        raise _bad(f"{where}{error}") from error
