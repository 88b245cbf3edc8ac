"""Firmware from the cache is what building it would give, and never a part of it."""

import os
import random
from pathlib import Path

import pytest

from hedgerow_cli import firmware_cache
from hedgerow_cli.firmware_cache import ARCHIVES, built
from hedgerow_cli.firmware_files import RADIO, on_board


@pytest.fixture
def builds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An empty cache, and a builder that writes its files without a compiler; each call adds its role."""
    calls: list[str] = []

    def build(out_dir: Path, role: str) -> None:
        calls.append(role)
        for path, name in on_board(out_dir, role):
            if name.endswith(".mpy"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(random.Random(f"{role} {name}").randbytes(2000).hex())

    monkeypatch.setattr(firmware_cache, "build", build)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return calls


def archives(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "cache").rglob("*.zip"))


def contents(files: list[tuple[Path, str]]) -> dict[str, str]:
    return {name: path.read_text() for path, name in files}


def test_the_second_time_nothing_is_built(tmp_path: Path, builds: list[str]) -> None:
    first = contents(built(tmp_path / "one"))
    assert contents(built(tmp_path / "two")) == first
    assert builds == [""]
    assert contents(built(tmp_path / "three", RADIO)) != first
    assert builds == ["", RADIO]


@pytest.mark.parametrize("damage", ["cut", "flipped", "nothing"])
def test_a_damaged_archive_is_built_anew(tmp_path: Path, builds: list[str], damage: str) -> None:
    first = contents(built(tmp_path / "one"))
    (archive,) = archives(tmp_path)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 4
    archive.write_bytes({"cut": content[:-30], "flipped": content, "nothing": b""}[damage])
    assert contents(built(tmp_path / "two")) == first
    assert contents(built(tmp_path / "three")) == first
    assert builds == ["", ""]


def test_other_sources_are_built(tmp_path: Path, builds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    built(tmp_path / "one")
    source = tmp_path / "more.py"
    found = firmware_cache.sources()
    monkeypatch.setattr(firmware_cache, "sources", lambda role: [*found, ("more", source)])
    for text in ("1", "2", "2"):
        source.write_text(text)
        built(tmp_path / "again")
    assert builds == [""] * 3


def test_a_bounded_number_is_kept(tmp_path: Path, builds: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for at in range(ARCHIVES + 3):
        monkeypatch.setattr(firmware_cache, "version", lambda name, at=at: str(at))
        built(tmp_path / "out")
        newest = max(archives(tmp_path), key=lambda path: path.stat().st_mtime_ns)
        os.utime(newest, (at, at))
    assert len(archives(tmp_path)) == ARCHIVES
    built(tmp_path / "out")
    assert len(builds) == ARCHIVES + 3


def test_a_cache_that_cannot_be_written(tmp_path: Path, builds: list[str]) -> None:
    (tmp_path / "cache").write_text("a file")
    assert contents(built(tmp_path / "one")) == contents(built(tmp_path / "two"))
    assert builds == ["", ""]
