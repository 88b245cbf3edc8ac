"""Give private names of the firmware names that MicroPython has in ROM.

Each name that a board meets first in our modules costs its bytes and a place in a table that doubles when it
is full. Names that begin with an underscore are no one else's, so those of one module may be called what
MicroPython calls other things, and modules may share such names. A traceback then shows them; build() writes
down what stands for what.
"""

import ast
import io
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
""".split()  # noqa: SIM905

Names = dict[str, dict[str, str]]


def short_names(sources: dict[str, str]) -> Names:
    """Return, for each module (dotted name: source), what its private names are to be called.

    Left as they are: names that another group of modules uses too, that stand in strings, or that are those
    of constants, which the compiler leaves out because of their underscore. Modules with
    a class that derives from another module's are one group, because their instances share attributes.
    """
    trees = {module: ast.parse(source, module) for module, source in sources.items()}
    groups = _groups(trees)
    used = {module: _identifiers(tree) for module, tree in trees.items()}
    found: Names = {}
    for group in groups:
        inside = set().union(*(used[module] for module in group))
        outside = set().union(*(used[module] for module in trees if module not in group))
        text = _texts([trees[module] for module in group])
        constants = set().union(*(_constants(trees[module]) for module in group))
        private = sorted(
            name
            for name in inside - outside - text - constants
            if name.startswith("_") and not name.startswith("__") and name != "_"
        )
        free = [name for name in ROM_NAMES if name not in inside and name not in text]
        names = dict(zip(private, free, strict=False))
        found.update(dict.fromkeys(group, names))
    return found


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


def _groups(trees: dict[str, ast.Module]) -> list[list[str]]:
    """Join modules whose classes derive from one another."""
    home = {
        node.name: module
        for module, tree in trees.items()
        for node in tree.body
        if isinstance(node, ast.ClassDef)
    }
    leader = {module: module for module in trees}
    for module, tree in trees.items():
        for node in ast.walk(tree):
            for base in node.bases if isinstance(node, ast.ClassDef) else ():
                name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                if name in home:
                    old, new = leader[module], leader[home[name]]
                    leader = {key: new if value == old else value for key, value in leader.items()}
    return [[m for m in trees if leader[m] == first] for first in sorted(set(leader.values()))]


def _identifiers(tree: ast.Module) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(tree):
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
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
            elif isinstance(node, ast.JoinedStr):
                for inner in ast.walk(node):
                    found.add(getattr(inner, "id", getattr(inner, "attr", "")))
    return found
