"""A radio that begins handshakes for an hour, as fast as it can connect: what it costs boards, and whom."""

import pytest

from bench.security_flood import charge_of, hour
from hedgerow.crypto.handshake import Gate


def test_an_hour_of_handshakes_costs_boards_little_and_no_reading() -> None:
    calm, stormy = hour(besieged=False), hour(besieged=True)
    for outcome in (calm, stormy):
        readings = outcome.report["readings"]
        assert readings["acknowledged"] == readings["arrived"] == readings["receipted"] > 300
    flood = stormy.world.flood  # type: ignore[attr-defined]
    # Each is refused before anything is computed on the curve.
    assert flood.attempts > 1000
    assert set(flood.answers) == {"HANDSHAKE_STRANGER"} and flood.p256.multiplications == 0
    assert charge_of(stormy) <= 1.2 * charge_of(calm)


def test_without_admission_each_costs_multiplications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "admit", lambda self, message, tag: None)
    monkeypatch.setattr("bench.security_flood.BOARDS", 3)
    monkeypatch.setattr("bench.security_flood.HOURS", 0.02)
    flood = hour(besieged=True).world.flood  # type: ignore[attr-defined]
    assert flood.answers["HANDSHAKE_STRANGER"] == 0 and flood.p256.multiplications > 1000
