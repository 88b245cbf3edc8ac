"""Constants are folded across modules and leave them: nothing that is built may ask for one that has gone."""

import ast
from pathlib import Path

import pytest

from hedgerow_cli.firmware_cache import built


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


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, ast.Module]:
    """What is built for a board: file -> its tree."""
    folder = tmp_path_factory.mktemp("built")
    built(folder)
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")}


def test_no_built_module_asks_for_a_name_that_was_folded_away(trees: dict[Path, ast.Module]) -> None:
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


def test_no_built_module_imports_a_name_that_was_folded_away(trees: dict[Path, ast.Module]) -> None:
    asked = 0
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or not node.level or not node.module:
                continue
            origin = path.parents[node.level - 1].joinpath(*node.module.split(".")).with_suffix(".py")
            if origin in trees:
                offered = _names(trees[origin])
                for alias in node.names:
                    asked += 1
                    assert alias.name in offered, f"{path.name} imports {alias.name} from {origin.name}"
    assert asked > 100
