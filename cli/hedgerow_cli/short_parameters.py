"""Give parameters of the firmware's own functions names that MicroPython has in ROM.

A function's parameters are the only local names in its bytecode: each costs its bytes in the image, and
a place in the board's table of names. Nobody sees them but who calls by keyword.
"""

import ast
from collections.abc import Iterator

from .short_names import ROM_NAMES

#: Modules of which programs, or aioble, call functions, maybe by keyword.
_FOR_PROGRAMS = (
    "hedgerow.application", "hedgerow.batch", "hedgerow.codec.decimal", "hedgerow.errors", "hedgerow.peer",
    "hedgerow.presence", "hedgerow.result", "hedgerow.storage", "hedgerow.transaction", "hedgerow_device",
    "hedgerow_device.blebeside", "hedgerow_device.counting", "hedgerow_device.device_peer",
    "hedgerow_device.sensor",
)  # fmt: skip

_Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
#: (line, byte in it, old name, new name)
_Edit = tuple[int, int, str, str]


def keywords_of(sources: dict[str, str]) -> set[str]:
    """Names by which arguments are passed anywhere in these modules (dotted name: source)."""
    found = set()
    for source in sources.values():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.keyword) and node.arg:
                found.add(node.arg)
    return found


def shorten_parameters(module: str, source: str, keywords: set[str]) -> str:
    """Return a module's source with its positional parameters renamed; lines stay where they are."""
    if module in _FOR_PROGRAMS:
        return source
    edits: list[_Edit] = []
    for node in _inside(ast.parse(source), functions=False):
        if isinstance(node, _Function):
            _rename(node, {}, keywords, edits)
    lines = source.encode().splitlines(keepends=True)
    for row, start, old, new in sorted(edits, reverse=True):
        line = lines[row - 1]
        if line[start : start + len(old)] != old.encode():
            raise AssertionError(f"{module}:{row}: {old} is not at {start}")
        lines[row - 1] = line[:start] + new.encode() + line[start + len(old) :]
    return b"".join(lines).decode()


def _inside(tree: ast.AST, functions: bool) -> Iterator[ast.AST]:
    """All nodes below one, functions too; what is in functions only if asked for."""
    for child in ast.iter_child_nodes(tree):
        yield child
        if functions or not isinstance(child, _Function):
            yield from _inside(child, functions)
        else:
            # Defaults and decorators are of the place where the function stands.
            for outer in _outer(child):
                yield outer
                yield from _inside(outer, functions)


def _outer(function: _Function) -> list[ast.AST]:
    found: list[ast.AST] = [node for node in (*function.args.defaults, *function.args.kw_defaults) if node]
    return found if isinstance(function, ast.Lambda) else [*found, *function.decorator_list]


def _body(function: _Function) -> ast.AST:
    if isinstance(function, ast.Lambda):
        return ast.Expression(function.body)
    return ast.Module(function.body, [])


def _positional(function: _Function) -> list[ast.arg]:
    arguments = function.args
    found = [*arguments.posonlyargs, *arguments.args]
    return found + [argument for argument in (arguments.vararg, arguments.kwarg) if argument]


def _rename(function: _Function, known: dict[str, str], keywords: set[str], edits: list[_Edit]) -> None:
    """Rename a function's parameters, and what stands for parameters `known` of those around it."""
    everything = list(_inside(_body(function), functions=True))
    own = list(_inside(_body(function), functions=False))
    fixed = set(keywords)
    for node in everything:
        if isinstance(node, ast.Global | ast.Nonlocal):
            fixed.update(node.names)
        elif isinstance(node, ast.ExceptHandler):
            fixed.add(node.name or "")
        elif isinstance(node, ast.alias):
            fixed.add((node.asname or node.name).split(".")[0])
        elif isinstance(node, ast.JoinedStr):
            fixed.update(inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))
    taken = fixed | set(known.values()) | {node.id for node in everything if isinstance(node, ast.Name)}
    taken |= {node.arg for node in everything if isinstance(node, ast.arg)}
    arguments = _positional(function)
    taken |= {argument.arg for argument in (*arguments, *function.args.kwonlyargs)}
    bound = {argument.arg for argument in (*arguments, *function.args.kwonlyargs)}
    bound |= {node.id for node in own if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)}
    names = {old: new for old, new in known.items() if old not in bound}
    free = (name for name in ROM_NAMES if name not in taken)
    for argument in arguments:
        if argument.arg not in fixed and argument.arg not in ROM_NAMES:
            names[argument.arg] = next(free)
            edits.append((argument.lineno, argument.col_offset, argument.arg, names[argument.arg]))
    for node in own:
        if isinstance(node, ast.Name) and node.id in names:
            edits.append((node.lineno, node.col_offset, node.id, names[node.id]))
        elif isinstance(node, _Function):
            _rename(node, names, keywords, edits)
