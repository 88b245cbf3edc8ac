"""Each guard of what members may say is taken out in turn, and a check of this folder must then fail."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE.parent / "portable")]

import conceal_kit as kit  # noqa: E402
import test_crypto_batches as batches  # noqa: E402
import test_crypto_confidential as concealed  # noqa: E402
import test_crypto_frontier as frontiers  # noqa: E402
import test_crypto_grants as granting  # noqa: E402
import test_crypto_group as groups  # noqa: E402
import test_crypto_receipts as receipts  # noqa: E402
import test_crypto_words as words  # noqa: E402
import test_mesh_epochs as epochs  # noqa: E402

from hedgerow import reveal  # noqa: E402
from hedgerow.crypto import confidential, grants, rotation  # noqa: E402
from hedgerow.crypto.batches import Batch  # noqa: E402
from hedgerow.crypto.confidential import CollectionKeys  # noqa: E402
from hedgerow.crypto.credentials import Trust  # noqa: E402
from hedgerow.crypto.members import Members, Proofs  # noqa: E402
from hedgerow.crypto.port import finish  # noqa: E402
from hedgerow.crypto.words import Word, Words  # noqa: E402
from hedgerow.custody.ledger import Ledger  # noqa: E402
from hedgerow.errors import HedgerowError  # noqa: E402
from hedgerow.mesh import pace  # noqa: E402
from hedgerow.mesh.carrier import Carrier  # noqa: E402
from hedgerow.mesh.custody import Custody  # noqa: E402
from hedgerow.mesh.down import Down  # noqa: E402
from hedgerow.peer import Peer  # noqa: E402
from hedgerow.sync import frames, giver  # noqa: E402
from hedgerow.sync.exchange import Exchange  # noqa: E402
from hedgerow.sync.session import Session  # noqa: E402

Patch = Callable[[pytest.MonkeyPatch], None]

_TAKE = Ledger.take
_MAKE = Proofs.__init__
_INGEST = Peer.ingest_receipt
_HEAR = Exchange._hear
_REVEAL = CollectionKeys.reveal


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


def values_are_bound_to_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(confidential, "_bound", lambda author, number, stamp, *_: stamp)


def every_iv_is_the_same(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(confidential, "_bound", lambda *_: b"")


def authors_share_a_key(patch: pytest.MonkeyPatch) -> None:
    for module in (kit, confidential):
        patch.setattr(module, "author_key", lambda whole, author: whole[:16])


def what_is_plain_counts(patch: pytest.MonkeyPatch) -> None:
    def reveal(self: CollectionKeys, *about: Any) -> list[Any]:
        change: list[Any] = _REVEAL(self, *about) or about[4]
        return change

    patch.setattr(CollectionKeys, "reveal", reveal)


def values_stay_in_the_clear(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(CollectionKeys, "conceal", lambda self, author, number, stamp, changes, schemas: changes)


def keys_do_not_make_confidential(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Peer, "kind_of", lambda self, collection: self.kinds.get(collection, 0))


def what_is_hidden_is_superseded(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reveal, "revealed", lambda peer, author, number, stamp, at, change: change)


def what_cannot_be_judged_is_kept_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(giver, "CONFIDENTIAL", 0)


def any_frontier_is_signed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Members, "proves_frontier", lambda self, frontier: True)


def who_only_records_tells_frontiers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Session, "trusts", lambda self, kinds: True)


def anybody_grants(patch: pytest.MonkeyPatch) -> None:
    def granted(peer: Any, pair_of: Any) -> Any:
        row = peer.down.documents.view("__keys", peer.author)
        try:
            return None if row is None else grants.unwrap(pair_of, peer.author, row["keys"])
        except HedgerowError:
            return None

    patch.setattr(granting, "granted", granted)


def batches_need_no_signature(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Batch, "verify", lambda self, p256, sealing: iter(()))


def batches_are_said_at_any_time(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Members, "_is_due", lambda self, batch: True)


def what_a_batch_covers_stays(patch: pytest.MonkeyPatch) -> None:
    receipted = Custody.receipted
    patch.setattr(Custody, "receipted", lambda self, *given: receipted(self, *given[:3]))


CHECKS: dict[Patch, Callable[[], None]] = {
    values_are_bound_to_nothing: concealed.test_values_are_bound_to_all_that_stands_beside_them,
    every_iv_is_the_same: concealed.test_no_two_changes_are_encrypted_under_one_iv,
    authors_share_a_key: concealed.test_values_are_bound_to_all_that_stands_beside_them,
    what_is_plain_counts: concealed.test_what_is_plain_in_a_confidential_schema_does_not_count,
    values_stay_in_the_clear: concealed.test_holders_of_the_key_read_and_others_see_nothing,
    keys_do_not_make_confidential: concealed.test_a_key_makes_its_collection_confidential,
    what_is_hidden_is_superseded: concealed.test_hidden_changes_are_not_given_up_as_superseded,
    what_cannot_be_judged_is_kept_back: concealed.test_who_cannot_read_passes_on_whatever_is_asked,
    any_frontier_is_signed: frontiers.test_what_a_gateway_makes_up_is_nobodys_word,
    who_only_records_tells_frontiers: frontiers.test_who_only_records_is_not_believed_what_everybody_was_told,
    anybody_grants: granting.test_a_grant_comes_down_as_a_document,
    any_receipt_proves: receipts.test_receipts_on_the_air_that_nobody_proves_free_nothing,
    any_session_is_the_keepers: receipts.test_who_shows_to_be_the_keeper_needs_no_proof_and_another_does,
    any_keeper_speaks_for_all: receipts.test_who_shows_to_be_the_keeper_needs_no_proof_and_another_does,
    a_proof_is_of_any_kind: receipts.test_a_member_of_no_such_kind_proves_nothing,
    hints_raise_incarnations: receipts.test_a_word_of_a_past_incarnation_is_refused_and_a_hint_raises_none,
    hints_count_whole: receipts.test_receipts_made_up_on_the_air_stop_no_operation_and_no_proof,
    higher_hints_outdo_lower_ones: receipts.test_any_receipt_may_be_the_true_one_and_is_passed_on,
    keys_are_of_no_mesh: receipts.test_a_keepers_proof_frees_whoever_brings_it_and_nothing_else_does,
    batches_need_no_signature: batches.test_what_no_keeper_has_signed_is_not_passed_on,
    batches_are_said_at_any_time: batches.test_all_go_by_what_a_gateway_was_told_once_an_hour,
    what_a_batch_covers_stays: batches.test_a_relay_lets_go_of_what_a_batch_covers,
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
