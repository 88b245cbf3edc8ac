"""Where files run side by side: which begin first, and how many at a time; what is left out."""

import os
from pathlib import Path

import pytest

#: Tests with real servers run when they are asked for by name.
SERVICES = Path(__file__).parent / "services"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out what needs servers."""
    return True if collection_path == SERVICES and not _asks_for_services(config) else None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out."""
    if not _asks_for_services(config) and config.args_source is not pytest.Config.ArgsSource.ARGS:
        terminalreporter.write_line(
            "left out: tests with real servers (PostgreSQL, Kafka, mosquitto): make test-services"
        )


def _asks_for_services(config: pytest.Config) -> bool:
    paths = [
        (config.invocation_params.dir / argument.partition("::")[0]).resolve() for argument in config.args
    ]
    return any(path == SERVICES or SERVICES in path.parents for path in paths)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: many tests wait for boards that live in real time."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The longest first, so that nobody waits for one of them alone at the end."""
    if hasattr(config, "workerinput"):
        slow = {item.path for item in items if item.get_closest_marker("slow")}
        items.sort(key=lambda item: (item.path.parent.name != "system", item.path not in slow))
