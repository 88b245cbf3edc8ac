"""Each guard of what members may say is taken out in turn, and a check of this folder must then fail."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE.parent / "portable")]

import test_crypto_group as groups  # noqa: E402
import test_crypto_receipts as receipts  # noqa: E402
import test_crypto_words as words  # noqa: E402
import test_mesh_epochs as epochs  # noqa: E402

from hedgerow.crypto import rotation  # noqa: E402
from hedgerow.crypto.credentials import Trust  # noqa: E402
from hedgerow.crypto.members import Members, Proofs  # noqa: E402
from hedgerow.crypto.port import finish  # noqa: E402
from hedgerow.crypto.words import Word, Words  # noqa: E402
from hedgerow.custody.ledger import Ledger  # noqa: E402
from hedgerow.mesh import pace  # noqa: E402
from hedgerow.mesh.carrier import Carrier  # noqa: E402
from hedgerow.mesh.down import Down  # noqa: E402
from hedgerow.peer import Peer  # noqa: E402
from hedgerow.sync import frames  # noqa: E402
from hedgerow.sync.exchange import Exchange  # noqa: E402

Patch = Callable[[pytest.MonkeyPatch], None]

_TAKE = Ledger.take
_MAKE = Proofs.__init__
_INGEST = Peer.ingest_receipt
_HEAR = Exchange._hear


def any_receipt_proves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Members, "proves", lambda *_: True)


def any_session_is_the_keepers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_shows_keeper", lambda _: True)


def any_keeper_speaks_for_all(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peer, "ingest_receipt", lambda self, receipt, by=False: _INGEST(self, receipt, True))


def a_proof_is_of_any_kind(patch: pytest.MonkeyPatch) -> None:
    def proves(self: Members, receipt: Any) -> bool:
        keeper = self.holder(receipt.keeper)
        return keeper is not None and self._proofs.proves(receipt, keeper.agreement)

    patch.setattr(Members, "proves", proves)


def hints_raise_incarnations(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "take", lambda self, receipt, hint=False, heard=0: _TAKE(self, receipt))


def hints_count_whole(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        Ledger, "take", lambda self, receipt, hint=False, heard=0: _TAKE(self, receipt, hint, 1 << 30)
    )


def higher_hints_outdo_lower_ones(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Down, "_hints", lambda *_: False)


def keys_are_of_no_mesh(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proofs, "__init__", lambda self, identity, mesh, *most: _MAKE(self, identity, [0, b""]))


def words_need_no_signature(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Word, "verify", lambda *_: iter(()))


def numbers_may_fall(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Words, "_is_news", lambda *_: True)


def credentials_are_shut_out_by_number_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Trust, "stands", lambda self, known: known.cti not in self.revoked)


def the_session_of_the_revoked_goes_on(patch: pytest.MonkeyPatch) -> None:
    def hear(self: Exchange, kind: int, value: bytes) -> None:
        if kind == frames.WORD:
            self.peer.members.take_word(value)
        else:
            _HEAR(self, kind, value)

    patch.setattr(Exchange, "_hear", hear)


def words_are_not_said_on_the_air(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Carrier, "_say_words", lambda *_: None)


def false_words_are_looked_at_again(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pace, "FALSE_WORD_MS", 0)


def epochs_go_back(patch: pytest.MonkeyPatch) -> None:
    def take(self: Words, word: Word) -> None:
        assert self._group is not None
        finish(word.verify(self._p256, self._trust.roots))
        rotation.take(self._group, word)
        self._group_word = word.statement

    patch.setattr(Words, "_take_group", take)


def group_keys_of_any_app_stay(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rotation, "forget", lambda _: None)


def nobody_waits_for_words(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_lingers", lambda self: self._linger_ms)


def the_key_before_counts_for_ever(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rotation, "settle", lambda _: None)


CHECKS: dict[Patch, Callable[[], None]] = {
    any_receipt_proves: receipts.test_receipts_on_the_air_that_nobody_proves_free_nothing,
    any_session_is_the_keepers: receipts.test_who_shows_to_be_the_keeper_needs_no_proof_and_another_does,
    any_keeper_speaks_for_all: receipts.test_who_shows_to_be_the_keeper_needs_no_proof_and_another_does,
    a_proof_is_of_any_kind: receipts.test_a_member_of_no_such_kind_proves_nothing,
    hints_raise_incarnations: receipts.test_a_word_of_a_past_incarnation_is_refused_and_a_hint_raises_none,
    hints_count_whole: receipts.test_receipts_made_up_on_the_air_stop_no_operation_and_no_proof,
    higher_hints_outdo_lower_ones: receipts.test_any_receipt_may_be_the_true_one_and_is_passed_on,
    keys_are_of_no_mesh: receipts.test_a_keepers_proof_frees_whoever_brings_it_and_nothing_else_does,
    words_need_no_signature: words.test_what_no_issuer_has_signed_changes_nothing,
    numbers_may_fall: words.test_a_number_may_only_be_raised,
    credentials_are_shut_out_by_number_alone: (
        words.test_a_word_goes_from_member_to_member_and_outlives_a_power_cut
    ),
    the_session_of_the_revoked_goes_on: words.test_who_is_revoked_in_its_own_session_is_out_at_once,
    words_are_not_said_on_the_air: words.test_a_revocation_reaches_boards_that_nobody_connects_to,
    epochs_go_back: groups.test_an_epoch_never_goes_back,
    group_keys_of_any_app_stay: groups.test_the_keys_of_another_app_are_forgotten,
    nobody_waits_for_words: groups.test_the_newest_key_goes_from_member_to_member_and_outlives_a_power_cut,
    the_key_before_counts_for_ever: epochs.test_a_rotation_while_frames_are_on_their_way,
    false_words_are_looked_at_again: words.test_false_words_on_the_air_cost_two_multiplications_a_minute,
}


@pytest.mark.parametrize("mutant", CHECKS, ids=[mutant.__name__ for mutant in CHECKS])
def test_mutant_is_killed(mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    CHECKS[mutant]()
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        CHECKS[mutant]()
