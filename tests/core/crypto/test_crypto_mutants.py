"""Each guard of what members may say is taken out in turn, and a check of this folder must then fail."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE / "portable"), str(HERE.parent / "portable")]

import test_crypto_receipts as receipts  # noqa: E402

from hedgerow.crypto.members import Members, Proofs  # noqa: E402
from hedgerow.custody.ledger import Ledger  # noqa: E402
from hedgerow.presence import BY_KEEPER, BY_MEMBER  # noqa: E402
from hedgerow.sync.exchange import Exchange  # noqa: E402

Patch = Callable[[pytest.MonkeyPatch], None]

_TAKE = Ledger.take
_MAKE = Proofs.__init__


def any_receipt_proves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Members, "proves", lambda *_: True)


def any_session_is_the_keepers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Exchange, "_shown", lambda *_: BY_KEEPER)


def any_keeper_speaks_for_all(patch: pytest.MonkeyPatch) -> None:
    def shown(self: Exchange, _: bytes) -> int:
        return BY_KEEPER if self._shows_keeper() else BY_MEMBER

    patch.setattr(Exchange, "_shown", shown)


def a_proof_is_of_any_kind(patch: pytest.MonkeyPatch) -> None:
    def proves(self: Members, receipt: Any) -> bool:
        keeper = self.holder(receipt.keeper)
        return keeper is not None and self._proofs.proves(receipt, keeper.agreement)

    patch.setattr(Members, "proves", proves)


def hints_raise_incarnations(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Ledger, "take", lambda self, receipt, hint=False: _TAKE(self, receipt))


def keys_are_of_no_mesh(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Proofs, "__init__", lambda self, identity, mesh, *most: _MAKE(self, identity, [0, b""]))


CHECKS: dict[Patch, Callable[[], None]] = {
    any_receipt_proves: receipts.test_receipts_on_the_air_that_nobody_proves_free_nothing,
    any_session_is_the_keepers: receipts.test_a_keepers_proof_frees_whoever_brings_it_and_nothing_else_does,
    any_keeper_speaks_for_all: receipts.test_who_shows_to_be_the_keeper_needs_no_proof_and_another_does,
    a_proof_is_of_any_kind: receipts.test_a_member_of_no_such_kind_proves_nothing,
    hints_raise_incarnations: receipts.test_a_word_of_a_past_incarnation_is_refused_and_a_hint_raises_none,
    keys_are_of_no_mesh: receipts.test_a_keepers_proof_frees_whoever_brings_it_and_nothing_else_does,
}


@pytest.mark.parametrize("mutant", CHECKS, ids=[mutant.__name__ for mutant in CHECKS])
def test_mutant_is_killed(mutant: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    CHECKS[mutant]()
    mutant(monkeypatch)
    with pytest.raises(AssertionError):
        CHECKS[mutant]()
