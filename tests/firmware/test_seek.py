"""Whom a board connects to, and when it does not even ask, on the VM."""

import pytest
from radio_vm import said_by


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the program in the VM has printed, by its first word."""
    return said_by(tmp_path_factory.mktemp("radio"), "seek_in_vm")


def test_nothing_is_given_up_for_a_session_that_nobody_makes(said: dict[str, str]) -> None:
    """Letters in parts were thrown away four times a second while memory was short."""
    assert said["seek"] == "[] ['made room', 'failed']"


def test_nobody_is_asked_for_a_session_that_the_radio_has_no_memory_for(said: dict[str, str]) -> None:
    """A connection of our own takes a block of 20 KiB of the memory that is not the VM's."""
    tried = ["made room", "failed"]
    assert said["blocks"] == str([(None, [], 3000), (0, [], 3000), (20479, [], 3000), (20480, tried, 1250)])
