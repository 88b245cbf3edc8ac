"""Whom gateways had to refuse on the radio stands in the audit log, by the word of members alone, bounded."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from farm_kit import Farm, gateway_at, receipted, run, running_farm, until

from hedgerow.health import write_health
from hedgerow_bigpeer import limits
from hedgerow_bigpeer.health import suspects_of

ATTACKER = "D0:00:00:00:00:01"


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    with running_farm(tmp_path_factory.mktemp("farm")) as running:
        yield running


def rows(farm: Farm) -> list[tuple[str, str, Any, Any]]:
    found = farm.registry.audit.newest(500, action="radio.refuse")
    return [(row.actor, row.subject, row.detail["code"], row.detail["count"]) for row in found][::-1]


def test_a_gateway_names_who_attacks_its_radio(farm: Farm, tmp_path: Path) -> None:
    data = tmp_path / "gw"
    data.mkdir()
    farm.enrol(data / "identity.json", "barn")

    async def main() -> None:
        async with gateway_at(data, farm.served.sync_url) as gateway:

            def tell(*suspects: object) -> None:
                write_health(gateway.peer, {"name": "barn", "suspects": list(suspects)}, gateway.clock.now())

            tell(["BEACON_TAG", ATTACKER, 3])
            await until(lambda: receipted(gateway), "receipted")
            await until(lambda: rows(farm), "in the audit log")
            assert gateway.enrolment is not None
            by = f"credential:{gateway.enrolment.claims.cti.hex()}:barn"
            first = (f"radio:{ATTACKER}", by, "BEACON_TAG", 3)
            assert rows(farm) == [first]
            # What is no news is written down once, what makes no sense not at all.
            tell(
                ["BEACON_TAG", ATTACKER, 3], ["x" * 99, ATTACKER, 1], ["<b>", "<script>", 1], 7, ["A", "", -1]
            )
            tell(["BEACON_TAG", ATTACKER, 3], ["HANDSHAKE_MAC", "", 9])
            await until(lambda: len(rows(farm)) > 1, "more of it")
            assert rows(farm) == [first, ("radio:", by, "HANDSHAKE_MAC", 9)]
            # A member that makes up attackers fills no log, and shows nobody else the door.
            for turn in range(4):
                tell(*[["BEACON_TAG", f"D0:00:00:00:{turn:02X}:{at:02X}", 1] for at in range(24)])
                await until(lambda: receipted(gateway), "receipted")
                await asyncio.sleep(1.1)
            assert len(rows(farm)) <= limits.AUDIT_REFUSALS
            assert farm.registry.audit.broken_at() is None

    run(main())


def test_what_makes_no_sense_is_left_out() -> None:
    good = ["BEACON_TAG", ATTACKER, 3]
    assert suspects_of([good]) == [("BEACON_TAG", ATTACKER, 3)]
    rows = (
        ["a", ATTACKER, 1], ["A", "zz", 1], ["A", ATTACKER, True], ["A", ATTACKER, "1"], ["A", ATTACKER, 0],
        ["A" * 41, ATTACKER, 1], ["A\n", ATTACKER, 1], ["A", ATTACKER], 7, [],
    )  # fmt: skip
    for bad in (None, 7, "x", {}, *([row] for row in rows)):
        assert suspects_of(bad) == []
    assert len(suspects_of([good] * 99)) == limits.SUSPECTS
