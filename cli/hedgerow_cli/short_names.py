"""Give names that only the firmware uses within itself names that MicroPython has in ROM.

Each name that a board meets first in our modules costs its bytes and a place in a table that doubles when it
is full. Names that begin with an underscore are no one else's, so those of one module may be called what
MicroPython calls other things, and modules may share such names. So may all names of the log on flash, and of
the mesh engine, that no other module and no program uses. A traceback then shows them; build() writes down
what stands for what.
"""

import array
import ast
import builtins
import functools
import io
import struct
import tokenize

#: Names of MicroPython's core, the same in every port since 1.12 (its list of static names).
ROM_NAMES = """
abs all any append args bin bool bytecode callable chr classmethod clear close copy count dict dir
divmod end endswith eval exec extend find format from_bytes get getattr globals hasattr hash id
index insert isalpha isdigit islower isspace issubclass isupper items iter join key keys little
locals lower lstrip map max min next oct open ord pop popitem pow range read readinto readline
remove replace reverse rfind rindex round rsplit rstrip send sep set setattr setdefault sort split
start startswith staticmethod step stop strip sum throw to_bytes type update upper value values
write zip
ArithmeticError AssertionError AttributeError BaseException EOFError Ellipsis GeneratorExit
IndentationError IndexError KeyError LookupError NameError NoneType NotImplementedError OverflowError
RuntimeError SyntaxError SystemExit TypeError ZeroDivisionError
""".split()  # noqa: SIM905

#: Modules whose names, with or without an underscore, are theirs alone where no other module uses them.
INTERNAL = "hedgerow_device.flash"
#: Groups of modules whose names are theirs in the same way; the private ones are each module's.
PACKAGES = (
    ("hedgerow.mesh.",),
    ("hedgerow.sync.",),
    ("hedgerow.query.parse", "hedgerow.query.evaluate", "hedgerow.query.expression", "hedgerow.query.mutate"),
    ("hedgerow_device.central", "hedgerow_device.link", "hedgerow_device.node", "hedgerow_device.radio"),
)
#: Those that programs on a board and benchmarks use all the same.
KEPT = """
FlashLog Link append arrived author authors beside close commit count cursor cut damaged drop drop_index end
erases error fetch fill finished free get held hinted incarnation index items keeps missing newest position
prepare pump put read receive
receipted replace ring room sealed seen seq since size spare storage tail values
""".split()  # noqa: SIM905
#: Modules that a board has loaded at all times, whose names others may have when those in ROM are all taken.
RESIDENT = (
    "hedgerow.peer",
    "hedgerow.application",
    "hedgerow.operation",
    "hedgerow.errors",
    "hedgerow.presence",
    "hedgerow.log",
    "hedgerow.codec.cbor",
    "hedgerow.codec.decimal",
    "hedgerow.codec.schema",
    "hedgerow.clock.hlc",
    "hedgerow.custody.ledger",
    "hedgerow.custody.receipt",
    "hedgerow.custody.skip",
    "hedgerow.trust.seal",
    "hedgerow_device.device_peer",
    "hedgerow_device.radio",
    "hedgerow_device.node",
    "hedgerow_device.app",
)
#: What is called on a block device.
_DEVICE = ("readblocks", "writeblocks", "ioctl", "info")

Names = dict[str, dict[str, str]]


def short_names(sources: dict[str, str]) -> Names:
    """Return, for each module (dotted name: source), what the names that are its own are to be called.

    Left as they are: names that stand in strings, those of constants, which the compiler leaves out because
    of their underscore, and names that another group of modules uses too, unless both have a private one of
    that name of their own. Modules with a class that derives from another module's are one group, because
    their instances share attributes, and so are the modules of the log on flash.
    """
    trees = {module: ast.parse(source, module) for module, source in sources.items()}
    groups = _groups(trees)
    used = {module: _identifiers(tree) for module, tree in trees.items()}
    bound = {module: _bound(tree) for module, tree in trees.items()}
    reached = set().union(*(_reached(tree) for tree in trees.values()))
    everywhere = _texts(list(trees.values()))
    taken = _foreign() | {part for module in trees for part in module.split(".")} | everywhere | set(KEPT)
    resident = sorted(
        name
        for module in RESIDENT
        for name in bound.get(module, ())
        if not name.startswith("_") and not name.isupper()
    )
    found: Names = {}
    packages = {
        package: _package_names(package, used, bound, taken, resident, everywhere) for package in PACKAGES
    }
    for group in groups:
        inside = set().union(*(used[module] for module in group))
        others = [other for other in groups if other is not group]
        outside = set()
        for other in others:
            theirs = set().union(*(used[module] for module in other))
            mine = set().union(*(bound[module] for module in other)) - reached
            outside |= {name for name in theirs if not (name.startswith("_") and name in mine)}
        text = _texts([trees[module] for module in group])
        constants = set().union(*(_constants(trees[module]) for module in group))
        own = {name for name in inside if name.startswith("_") and not name.startswith("__") and name != "_"}
        if group[0].startswith(INTERNAL):
            own |= set().union(*(bound[module] for module in group)) - taken
        common: dict[str, str] = {}
        for package, theirs_alone in packages.items():
            if group[0].startswith(package):
                common = theirs_alone
        avoid = inside | text | set(common.values())
        free = [name for name in dict.fromkeys((*ROM_NAMES, *resident)) if name not in avoid]
        names = dict(zip(sorted(own - outside - text - constants), free, strict=False))
        names.update(common)
        found.update(dict.fromkeys(group, names))
    _walk.cache_clear()
    return found


def _package_names(
    package: tuple[str, ...],
    used: dict[str, set[str]],
    bound: dict[str, set[str]],
    taken: set[str],
    resident: list[str],
    texts: set[str],
) -> dict[str, str]:
    """Return what the names that only the modules of a package use, without an underscore, are called."""
    inside = set().union(*(names for module, names in used.items() if module.startswith(package)))
    outside = set().union(*(names for module, names in used.items() if not module.startswith(package)))
    theirs = set().union(*(names for module, names in bound.items() if module.startswith(package)))
    own = {name for name in theirs - outside - taken - texts if not name.startswith("_")}
    # From the end: the names in ROM are for private ones, of which each module has its own.
    free = [name for name in reversed((*ROM_NAMES, *resident)) if name not in inside and name not in texts]
    return dict(zip(sorted(own), dict.fromkeys(free), strict=False))


def shorten(source: str, names: dict[str, str]) -> str:
    """Return a module's source with its private names replaced; lines stay where they are."""
    lines = source.splitlines(keepends=True)
    tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string in names:
            row, start = token.start
            line = lines[row - 1]
            lines[row - 1] = line[:start] + names[token.string] + line[token.end[1] :]
    return "".join(lines)


@functools.cache
def _walk(tree: ast.Module) -> list[ast.AST]:
    return list(ast.walk(tree))


def _groups(trees: dict[str, ast.Module]) -> list[list[str]]:
    """Join modules whose classes derive from one another."""
    home = {
        node.name: module
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    internal = [module for module in trees if module.startswith(INTERNAL)]
    leader = {module: internal[0] if module in internal else module for module in trees}
    for module, tree in trees.items():
        for node in _walk(tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                if name in home:
                    old, new = leader[module], leader[home[name]]
                    leader = {key: new if value == old else value for key, value in leader.items()}
    return [[m for m in trees if leader[m] == first] for first in sorted(set(leader.values()))]


def _identifiers(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in _walk(tree):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg | ast.keyword):
            found.add(node.arg or "")
        elif isinstance(node, ast.alias):
            found.update(node.name.split("."))
            found.add(node.asname or "")
        elif isinstance(node, ast.ImportFrom):
            found.update((node.module or "").split("."))
        elif isinstance(node, ast.Global | ast.Nonlocal):
            found.update(node.names)
    return found


def _bound(tree: ast.Module) -> set[str]:
    """Names that a module gives to functions, classes, arguments, attributes and what lies at its top."""
    found: set[str] = set()
    for node in _walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        if isinstance(node, ast.Module | ast.ClassDef):
            for statement in node.body:
                targets = statement.targets if isinstance(statement, ast.Assign) else []
                if isinstance(statement, ast.AnnAssign):
                    targets = [statement.target]
                for target in targets:
                    found.update(inner.id for inner in ast.walk(target) if isinstance(inner, ast.Name))
    return found


def _reached(tree: ast.Module) -> set[str]:
    """Names of attributes that are not asked of `self`: their owner may be of another module."""
    return {
        node.attr
        for node in _walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") != "self"
    }


def _foreign() -> set[str]:
    """Names that stand for something of Python's, or of a block device, wherever they are attributes."""
    found = {*ROM_NAMES, *_DEVICE, *dir(builtins), *dir(struct), *dir(array.array)}
    for kind in (object, int, float, str, bytes, bytearray, memoryview, list, tuple, dict, set, property):
        found.update(dir(kind))
    return found


def _constants(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            function = node.value.func
            if "const" in (getattr(function, "id", ""), getattr(function, "attr", "")):
                found.update(target.id for target in node.targets if isinstance(target, ast.Name))
    return found


def _texts(trees: list[ast.Module]) -> set[str]:
    """Names that stand in f-strings, and texts that may be names for getattr."""
    found: set[str] = set()
    for tree in trees:
        for node in _walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                for inner in ast.walk(node):
                    found.add(getattr(inner, "id", getattr(inner, "attr", "")))
    return found
