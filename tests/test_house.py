"""The house rules: which package may import which, how long a module may be, and that documents keep up."""

import ast
import dataclasses
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from hedgerow.errors import CODES
from hedgerow_cli import reference

ROOT = Path(__file__).parents[1]

#: Package -> (its folder, the packages of ours that it may import).
PACKAGES = {
    "hedgerow": ("shared/hedgerow", set[str]()),
    "hedgerow_host": ("shared/hedgerow_host", {"hedgerow"}),
    "hedgerow_device": ("firmware", {"hedgerow"}),
    "hedgerow_gateway": ("gateway", {"hedgerow", "hedgerow_host"}),
    "hedgerow_bigpeer": ("bigpeer", {"hedgerow", "hedgerow_host"}),
    "hedgerow_boards": ("boards", {"hedgerow"}),
    "hedgerow_sim": ("sim", {"hedgerow", "hedgerow_device", "hedgerow_boards"}),
    "hedgerow_cli": (
        "cli",
        {
            "hedgerow_sim",
            "hedgerow",
            "hedgerow_host",
            "hedgerow_device",
            "hedgerow_gateway",
            "hedgerow_bigpeer",
            "hedgerow_boards",
        },
    ),
}
#: What the core may import besides itself: modules that MicroPython has too.
CORE_MODULES = {
    "array",
    "binascii",
    "cryptolib",
    "gc",
    "hashlib",
    "math",
    "micropython",
    "os",
    "struct",
    "sys",
}
#: The one file of the core that boards never see, and what it may import: the port of cryptography on hosts.
HOST_FILE = "shared/hedgerow/crypto/host.py"
HOST_MODULES = {"cryptography"}
MODULE_LINES = 450
FUNCTION_LINES = 60
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|[Ff]or now(?! in)|placeholder|simplified)\b")
SKIPPED_FOLDERS = {
    ".git",
    ".venv",
    "build",
    "dist",
    "__pycache__",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
}


def sources(*folders: str) -> list[Path]:
    """Python files of the project below these folders."""
    return [
        path
        for folder in folders or (*{place for place, _ in PACKAGES.values()}, "bench", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if not SKIPPED_FOLDERS & set(path.parts)
    ]


def imports(path: Path) -> Iterator[str]:
    """Names of the modules that a file imports from outside its own package, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module or ""


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_run_one_way(package: str) -> None:
    folder, allowed = PACKAGES[package]
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in imports(path)
        if (top := name.partition(".")[0]) in PACKAGES and top != package and top not in allowed
    ]
    assert not wrong


def test_the_core_needs_nothing_that_a_board_lacks() -> None:
    wrong = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources("shared/hedgerow")
        for name in imports(path)
        if name.partition(".")[0] not in CORE_MODULES | {"hedgerow"}
        and not (path == ROOT / HOST_FILE and name.partition(".")[0] in HOST_MODULES)
    ]
    assert not wrong


#: Package -> the extra that whoever wants only this package installs.
EXTRAS = {
    "hedgerow_gateway": "gateway",
    "hedgerow_bigpeer": "bigpeer",
    "hedgerow_boards": "emulator",
    "hedgerow_sim": "sim",
}
#: Modules that only another extra makes usable; whoever lacks it is told its name.
OPTIONAL = {"kafka.py": "kafka", "mqtt.py": "mqtt"}
#: What runs in the VM of a board, whose imports the VM has; what only pytest loads.
LOADED_ELSEWHERE = {"vm", "pytest_plugin.py"}


def brought(extra: str) -> set[str]:
    """Names of the distributions that an extra brings, with what those bring in turn."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    waiting = [*project["dependencies"], *project["optional-dependencies"][extra]]
    found: set[str] = set()
    while waiting:
        line = waiting.pop()
        if match := re.match(r"hedgerow\[(.*)\]", line):
            for other in match[1].split(","):
                waiting += project["optional-dependencies"][other]
            continue
        name = re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-")
        if "extra ==" in line or name in found:
            continue
        found.add(name)
        try:
            waiting += metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            # It is for another system.
            continue
    return found


@pytest.mark.parametrize("package", EXTRAS)
def test_an_extra_brings_what_its_package_imports(package: str) -> None:
    provided = metadata.packages_distributions()
    always = brought(EXTRAS[package])
    wrong = []
    for path in sources(PACKAGES[package][0]):
        if LOADED_ELSEWHERE & set(path.parts):
            continue
        present = always | brought(OPTIONAL[path.name]) if path.name in OPTIONAL else always
        for name in imports(path):
            top = name.partition(".")[0]
            if top in PACKAGES or top in sys.stdlib_module_names or top not in provided:
                continue
            if not {each.lower().replace("_", "-") for each in provided[top]} & present:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not wrong


def test_modules_stay_short() -> None:
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in sources()}
    assert lengths
    assert not [
        f"{path.relative_to(ROOT)}: {count}" for path, count in lengths.items() if count > MODULE_LINES
    ]


def test_functions_stay_short() -> None:
    wrong = []
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            # A command's parameters are its documentation and may take their room.
            length = (node.end_lineno or 0) - node.body[0].lineno + 1
            if length > FUNCTION_LINES:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {node.name}: {length}")
    assert not wrong


def test_nothing_is_left_for_later() -> None:
    texts = [path for path in sources() if path != Path(__file__)]
    texts += [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile"]
    texts += [path for path in ROOT.glob("deploy/**/*") if path.is_file()]
    wrong = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in texts
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if UNFINISHED.search(line)
    ]
    assert not wrong


@pytest.mark.parametrize("page", reference.PAGES)
def test_generated_pages_are_up_to_date(page: str) -> None:
    written = (ROOT / "docs" / page).read_text(encoding="utf-8")
    assert written == reference.PAGES[page](), "run: make docs"


def test_every_command_and_option_has_help() -> None:
    wrong = []
    for name, command in reference.commands():
        if not command.help:
            wrong.append(name)
        wrong += [f"{name} {param.name}" for param in command.params if not getattr(param, "help", None)]
    assert not wrong


def test_the_readme_shows_every_command() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [name for name, _ in reference.commands() if name not in text]


def test_every_make_target_has_a_line_of_help() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert targets
    assert not [name for name in targets[1].split() if name != "help" and f'@echo "make {name} ' not in text]


def test_error_codes_are_distinct_and_complete() -> None:
    numbers = [number for number, _ in CODES.values()]
    assert len(set(numbers)) == len(numbers)
    assert all(1 <= number <= 999 and text.endswith((".", "?")) for number, text in CODES.values())


def raised_codes() -> set[str]:
    """Codes that the sources raise by name."""
    pattern = re.compile(r'(?:HedgerowError|AirError|_bad|_refused?)\(\s*"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"')
    folders = {place for place, _ in PACKAGES.values()}
    return {code for path in sources(*folders) for code in pattern.findall(path.read_text(encoding="utf-8"))}


def test_every_code_that_is_raised_is_in_the_table() -> None:
    raised = raised_codes()
    assert len(raised) > 50
    assert not sorted(raised - CODES.keys())


def test_every_setting_is_documented() -> None:
    from hedgerow_bigpeer import BigPeerConfig
    from hedgerow_gateway import GatewayConfig

    text = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    names = [field.name for config in (BigPeerConfig, GatewayConfig) for field in dataclasses.fields(config)]
    names += board_settings()
    assert len(names) > 20
    assert not [name for name in names if f"`{name}`" not in text]


def board_settings() -> list[str]:
    """Keys of a board's configuration, read from the firmware's source, which only MicroPython can run."""
    tree = ast.parse((ROOT / "firmware/hedgerow_device/config.py").read_text(encoding="utf-8"))
    return [
        str(key.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict)
        for key in node.value.keys
        if isinstance(key, ast.Constant)
    ]
