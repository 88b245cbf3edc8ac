"""The radio's handler on the VM, where memory that it takes would be missed: reports in, reports out."""

import pytest
from radio_vm import said_by


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the program in the VM has printed, by its first word."""
    return said_by(tmp_path_factory.mktemp("radio"), "radio_in_vm")


def test_reports_of_every_length_come_through_without_memory(said: dict[str, str]) -> None:
    assert said["sizes"] == "[10, 17, 28, 31, 31] [False, False, False, False, True] True -60"


def test_what_is_not_ours_takes_no_place_and_wakes_nobody(said: dict[str, str]) -> None:
    nothing, woken, heard = said["strangers"].split()
    assert (nothing, woken) == ("None", "0")
    assert int(heard) == 11


def test_the_repeats_of_one_saying_come_once(said: dict[str, str]) -> None:
    assert said["repeats"] == "True None 49 0"


def test_another_sender_of_the_same_is_none_of_its_repeats(said: dict[str, str]) -> None:
    assert said["senders"] == "5"


def test_a_full_queue_counts_what_it_loses(said: dict[str, str]) -> None:
    assert said["full"] == "7 13"


def test_events_come_through_without_memory(said: dict[str, str]) -> None:
    """A connection of which nobody knew waited for its first answer in vain."""
    assert (
        said["events"] == "(1, 3, 0, True) (21, 3, 256) (3, 3, 1) (11, 3, 9, 2, 16, 2) (2, 3, 0, True) None"
    )


def test_what_is_written_without_a_session_is_not_for_the_next_one(said: dict[str, str]) -> None:
    """It was: its first record came twice, and the session ended with RECORD_SEQUENCE."""
    assert said["written"] == "b'new' b'newer'"


def test_notifications_of_others_are_not_the_session_s(said: dict[str, str]) -> None:
    assert said["notified"] == "b'ours' b''"


def test_what_waited_is_heard_as_of_the_moment_at_which_it_came(said: dict[str, str]) -> None:
    assert said["moments"] == "True True"


def test_where_the_loop_stood_still_a_time_is_not_trusted_to_be_exact(said: dict[str, str]) -> None:
    assert said["late"] == "[0, 0, 400]"


def test_what_a_day_took_before_a_deep_sleep_counts_after_it(said: dict[str, str]) -> None:
    assert said["budget"] == "True True b'mesh'"


def test_a_seal_that_waits_for_room_is_made_while_there_is_no_engine(said: dict[str, str]) -> None:
    assert said["tight"] == "['shelved', 'sealed'] -1 []"


def test_a_connection_that_has_gone_already_holds_no_session_s_place(said: dict[str, str]) -> None:
    """A full queue may have lost the event; one that is being parted from (EALREADY) brings it yet."""
    assert said["partings"] == "[(0, 10000), (0, 10000), (1, 10000)]"


def test_what_a_session_leaves_is_settled_where_no_frame_holds_on_to_it(said: dict[str, str]) -> None:
    """The engine had to fit beside a session that had ended: it did not, again and again."""
    assert said["settled"] == "[True, True]"


def test_a_board_whose_engine_cannot_be_made_is_mended_as_a_deaf_one(said: dict[str, str]) -> None:
    """Memory was short for good, and it neither heard nor said anything any more."""
    assert said["deaf"] == "[61000, 122000, 183000]"


def test_of_two_sessions_that_end_at_once_both_are_told(said: dict[str, str]) -> None:
    assert said["both"] == "[b'caller', b''] None 1000 None"
