"""Leave the fixed words of the core's errors out of the firmware.

A board says the code, docs/errors.md has the rest. Each such text takes two objects of a board's heap.
Numbers and names that an error carries stay.
"""

import ast


def without_words(source: str) -> str:
    """Return a module's source in which HedgerowError(code, "fixed words") is HedgerowError(code)."""
    lines = source.encode().splitlines(keepends=True)
    calls = [
        node
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "HedgerowError"
        and len(node.args) == 2
        and isinstance(node.args[1], ast.Constant)
        and isinstance(node.args[1].value, str)
    ]
    for call in sorted(calls, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        code, words = call.args
        _cut(lines, (code.end_lineno, code.end_col_offset), (words.end_lineno, words.end_col_offset))
    return b"".join(lines).decode()


def _cut(
    lines: list[bytes], start: tuple[int | None, int | None], end: tuple[int | None, int | None]
) -> None:
    """Take out what lies between two places; line breaks stay."""
    (row, column), (last, stop) = start, end
    assert row and last and column is not None and stop is not None
    tail = lines[last - 1][stop:]
    for number in range(row, last):
        lines[number] = b"\n"
    if row == last:
        lines[row - 1] = lines[row - 1][:column] + tail
    else:
        lines[row - 1] = lines[row - 1][:column] + b"\n"
        lines[last - 1] = tail
