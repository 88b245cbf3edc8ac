"""Fold integer constants across modules before they are compiled for a board.

MicroPython's const() folds within one module. A board also pays RAM for every name that it loads, so uses of
another module's constants become numbers here, and constants that only our own modules use are left out.
"""

import ast

#: Modules whose constants programs on a board use by name; those of all others are left out.
PUBLIC = ("hedgerow.codec.schema", "hedgerow.log", "hedgerow.operation", "hedgerow.sync.hello")

#: A longer number is an object, which a module has once.
_BITS = 64

Constants = dict[str, dict[str, int]]


def constants_of(module: str, source: str) -> dict[str, int]:
    """Return the integer constants that a module defines once, at its top level, in capital letters."""
    found: dict[str, int] = {}
    for node in ast.parse(source, module).body:
        name = _assigned(node)
        if name:
            assert isinstance(node, ast.Assign)
            value = _value(node.value, found)
            if value is not None and value.bit_length() <= _BITS:
                found[name] = value
    return found


def fold(module: str, source: str, constants: Constants) -> str:
    """Return the source of `module` (dotted, without a trailing `__init__`) with constants as numbers."""
    tree = ast.parse(source, module)
    modules, names = _imports(module, tree, constants)
    own = constants.get(module, {}) if module not in PUBLIC else {}
    edits: list[tuple[ast.expr | ast.stmt, str]] = []
    for node in ast.walk(tree):
        value: int | None = None
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            value = constants.get(modules.get(node.value.id, ""), {}).get(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            value = names.get(node.id, own.get(node.id))
        if value is not None and isinstance(node, ast.expr):
            edits.append((node, str(value)))
    for statement in tree.body:
        if _assigned(statement) in own:
            edits = [edit for edit in edits if not _within(edit[0], statement)]
            edits.append((statement, ""))
        elif isinstance(statement, ast.ImportFrom):
            kept = [alias for alias in statement.names if (alias.asname or alias.name) not in names]
            if len(kept) < len(statement.names):
                edits.append((statement, _import_line(statement, kept)))
    return _apply(source, edits)


def lighten(module: str, source: str, constants: Constants) -> str:
    """Return a folded source without what only folding needed.

    The compiler knows `const` by its bare name, and knows it without an import; `limits.const` it would call.
    Imports of modules with constants that nobody asks for anything else go as well.
    """
    tree = ast.parse(source, module)
    calls: list[tuple[ast.expr | ast.stmt, str]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == "const" and isinstance(node.value, ast.Name):
            calls.append((node, "const"))
    if calls:
        source = _apply(source, calls)
        tree = ast.parse(source, module)
    modules, _ = _imports(module, tree, constants)
    folded = [_const_call(node) for node in tree.body]
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node not in folded}
    edits: list[tuple[ast.expr | ast.stmt, str]] = []
    for statement in tree.body:
        if isinstance(statement, ast.ImportFrom):
            names = {alias: alias.asname or alias.name for alias in statement.names}
            kept = [
                a for a, name in names.items() if name in used or (name not in modules and name != "const")
            ]
            if len(kept) < len(names):
                edits.append((statement, _import_line(statement, kept)))
    return _apply(source, edits)


def _const_call(node: ast.stmt) -> ast.expr | None:
    """The `const` of a statement that the compiler folds, NAME = const(...)."""
    value = node.value if isinstance(node, ast.Assign) else None
    if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "const":
        return value.func
    return None


def _assigned(node: ast.stmt) -> str:
    if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        name = node.targets[0].id
        return name if name.isupper() and not name.startswith("_") else ""
    return ""


def _value(node: ast.expr, known: dict[str, int]) -> int | None:
    """Evaluate an integer, const(integer), or a sum of constants."""
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return node.value
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        function = node.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return _value(node.args[0], known) if name == "const" else None
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _value(node.left, known), _value(node.right, known)
        return None if left is None or right is None else left + right
    return None


def _imports(module: str, tree: ast.Module, constants: Constants) -> tuple[dict[str, str], dict[str, int]]:
    """Return {local name: module} and {local name: value} of what the module imports at its top level."""
    modules: dict[str, str] = {}
    names: dict[str, int] = {}
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom):
            continue
        base = node.module or ""
        if node.level:
            package = module.rsplit(".", node.level)[0]
            base = f"{package}.{base}" if base else package
        for alias in node.names:
            if f"{base}.{alias.name}" in constants:
                modules[alias.asname or alias.name] = f"{base}.{alias.name}"
            elif alias.name in constants.get(base, {}):
                names[alias.asname or alias.name] = constants[base][alias.name]
    return modules, names


def _import_line(node: ast.ImportFrom, kept: list[ast.alias]) -> str:
    if not kept:
        return ""
    return ast.unparse(ast.ImportFrom(node.module, kept, node.level))


def _within(inner: ast.expr | ast.stmt, outer: ast.stmt) -> bool:
    return outer.lineno <= inner.lineno <= (outer.end_lineno or outer.lineno)


def _apply(source: str, edits: list[tuple[ast.expr | ast.stmt, str]]) -> str:
    """Replace nodes by texts, from the end; a node of several lines leaves its line breaks behind."""
    lines = source.encode().splitlines(keepends=True)
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line))
    data = source.encode()
    for node, text in sorted(edits, key=lambda edit: (edit[0].lineno, edit[0].col_offset), reverse=True):
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[node.end_lineno - 1] + node.end_col_offset
        data = data[:start] + text.encode() + b"\n" * (node.end_lineno - node.lineno) + data[end:]
    return data.decode()
