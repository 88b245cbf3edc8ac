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


@pytest.mark.parametrize("answers", range(10))
def test_a_neighbour_that_stops_answering_is_parted_from(said: dict[str, str], answers: int) -> None:
    """At any step: 2 seconds to connect, 6 for each answer, 6 for the end. A board was never done with it."""
    asked = {
        0: "gap_connect", 1: "gattc_exchange_mtu", 2: "gattc_discover_services", 3: "gattc_discover_services",
        7: "gattc_discover_descriptors", 8: "gattc_discover_descriptors", 9: "gattc_write",
    }.get(answers, "gattc_discover_characteristics")  # fmt: skip
    given_up = ("GATT_TIMEOUT", False, "disconnect") if answers else (None, False, "gap_connect")
    assert said[f"central_{answers}"] == f"(None, False, '{asked}') {given_up} True False"
