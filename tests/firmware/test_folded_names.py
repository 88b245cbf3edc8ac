"""Constants are folded across modules and leave them: nothing that is built may ask for one that has gone."""

import ast
from pathlib import Path

from hedgerow_cli.firmware_files import build


def _names(tree: ast.Module) -> set[str]:
    """What a module offers: definitions, assignments and imports at its top level."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found.update(alias.asname or alias.name for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def _siblings(tree: ast.Module, path: Path) -> dict[str, Path]:
    """Alias -> file of every `from . import module [as alias]`."""
    return {
        alias.asname or alias.name: path.with_name(f"{alias.name}.py")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module is None and node.level == 1
        for alias in node.names
        if path.with_name(f"{alias.name}.py").exists()
    }


def test_no_built_module_asks_for_a_name_that_was_folded_away(tmp_path: Path) -> None:
    build(tmp_path)
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in tmp_path.rglob("*.py")}
    asked = 0
    for path, tree in trees.items():
        siblings = _siblings(tree, path)
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id in siblings
            ):
                asked += 1
                offered = _names(trees[siblings[node.value.id]])
                assert node.attr in offered, f"{path.name} asks for {node.value.id}.{node.attr}"
    assert asked > 20
