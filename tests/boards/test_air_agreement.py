"""The same scene on the air in real time and on the one in virtual time: one model, the same statistics."""

from collections.abc import Callable
from typing import Any

import pytest
from air_rig import SECOND, address, advertise, join, scan

from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.field import Field
from hedgerow_boards.air.messages import ADV_NONCONN_IND
from hedgerow_boards.air.model import AirModel
from hedgerow_boards.air.physics import Radio

NODES = 12
INTERVAL_MS = 40
WINDOW = (30, 20)
SECONDS = 90
PAYLOAD = bytes(31)
PLACES = [(14.0 * (number % 4), 17.0 * (number // 4)) for number in range(NODES)]
CAUSES = ("weak", "collision", "interference", "chance", "not_listening", "own")
SCENES: dict[str, tuple[Radio, tuple[Interference, ...]]] = {
    "disc": (Radio.disc(30.0, loss=0.1), ()),
    "shadowed": (Radio.reaching(25.0)._replace(loss=0.05, asymmetry_db=4.0), ()),
    "disturbed": (
        Radio.reaching(25.0),
        (Interference(20.0, 10.0, level=-75.0, x=0.0, y=0.0, radius_m=30.0), Interference(30.0, 5.0, -60.0)),
    ),
}


def in_real_time(radio: Radio, sources: tuple[Interference, ...]) -> list[dict[str, Any]]:
    model = AirModel(seed=3, radio=radio, interference=sources)
    for number in range(NODES):
        host, _ = join(model, number + 1)
        model.medium.place(address(number + 1), *PLACES[number])
        model.timeline.at(number * 1717, _starter(host, number))
    model.step(SECONDS * SECOND)
    return [model.stats(address(number + 1)) for number in range(NODES)]


def _starter(host: Any, number: int) -> Callable[[], None]:
    def start() -> None:
        host.handle(advertise(PAYLOAD, interval_ms=INTERVAL_MS, kind=ADV_NONCONN_IND))
        if number % 5 != 4:
            host.handle(scan(*WINDOW))

    return start


def in_virtual_time(radio: Radio, sources: tuple[Interference, ...]) -> list[dict[str, Any]]:
    keys = [int(address(number + 1).replace(":", ""), 16) for number in range(NODES)]
    field = Field(PLACES, seed=3, radio=radio, interference=sources, keys=keys)
    for number in range(NODES):
        if number % 5 != 4:
            field.listen(number, WINDOW[1] * 1000, WINDOW[0] * 1000)
        field.say(number, PAYLOAD, 1 << 60, INTERVAL_MS * 1000)
    field.step(SECONDS * SECOND)
    return [field.stats(number) for number in range(NODES)]


@pytest.mark.parametrize("scene", SCENES)
def test_both_airs_give_the_same_statistics(scene: str) -> None:
    real, virtual = in_real_time(*SCENES[scene]), in_virtual_time(*SCENES[scene])
    compared = set()
    for number, (one, two) in enumerate(zip(real, virtual)):
        assert one["said"]["other"] == pytest.approx(two["said"]["other"], rel=0.01)
        assert one["airtime_us"] == pytest.approx(two["airtime_us"], rel=0.01)
        assert one["charge_mah"] == pytest.approx(two["charge_mah"], rel=0.01)
        if number % 5 == 4:
            assert one["heard"] == two["heard"] == 0
            continue
        sums = [stats["heard"] + sum(stats["lost"].values()) for stats in (one, two)]
        assert sums[0] == pytest.approx(sums[1], rel=0.01)
        for cause in CAUSES:
            shares = [stats["lost"][cause] / total for stats, total in zip((one, two), sums)]
            assert shares[0] == pytest.approx(shares[1], abs=0.015), (number, cause)
            if shares[0] > 0.01:
                compared.add(cause)
    assert (
        compared
        >= {
            "disc": {"collision", "chance", "not_listening", "own"},
            "shadowed": {"weak", "collision", "chance", "not_listening", "own"},
            "disturbed": {"weak", "collision", "interference", "not_listening", "own"},
        }[scene]
    )
