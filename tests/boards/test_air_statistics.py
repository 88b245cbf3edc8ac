"""Statistics of the air in real time: per radio, over the control channel, and with the frame log."""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from air_rig import READABLE, SECOND, WRITABLE, Pair, Recorder, address, advertise, hello, join, scan

from hedgerow.errors import HedgerowError
from hedgerow_boards.air import Air, charge, commands, events
from hedgerow_boards.air.bursts import Interference
from hedgerow_boards.air.host import Host
from hedgerow_boards.air.medium import Medium, Transmission
from hedgerow_boards.air.model import AirModel
from hedgerow_boards.air.physics import CHANCE, COLLISION, WEAK, Radio
from hedgerow_boards.air.remote import RemoteAir, obey

OP = bytes((30, 255, 255, 255, 0x21)) + bytes(26)


def pair(radio: Radio | None = None, **options: object) -> AirModel:
    """A model with radio 1 that advertises each 100 ms and radio 2 that scans, run for a minute."""
    model = AirModel(seed=1, radio=radio, **options)  # type: ignore[arg-type]
    one, _ = join(model, 1)
    two, _ = join(model, 2)
    one.handle(advertise(OP))
    two.handle(scan())
    model.step(60 * SECOND)
    return model


def test_events_are_counted_by_kind_and_receptions_by_cause() -> None:
    model = pair(loss=0.2)
    said, heard = model.stats(address(1)), model.stats(address(2))
    events = model.counters.beacons
    assert said["said"] == {"op": events}
    assert said["airtime_us"] == events * 3 * 376
    assert (heard["heard"], heard["lost"]["chance"]) == (model.counters.reports, model.counters.lost)
    assert heard["heard"] + sum(heard["lost"].values()) == events
    assert said["heard"] + sum(said["lost"].values()) == 0


def test_weak_and_disturbed_packets_have_counters_of_their_own() -> None:
    radio = Radio(sensitivity=-44.5)
    weak = pair(radio)
    assert weak.counters.weak == weak.stats(address(2))["lost"]["weak"] > 50
    disturbed = pair(Radio(), interference=(Interference(10.0, 10.0),))
    assert disturbed.counters.interference == disturbed.stats(address(2))["lost"]["interference"] > 50


def test_reports_without_a_buffer_are_counted_at_their_receiver() -> None:
    model = AirModel(seed=12, loss=0.0)
    one, _ = join(model, 1)
    two, log = join(model, 2)
    log.has_report_room = False
    one.handle(advertise(b"x"))
    two.handle(scan())
    model.step(SECOND)
    assert model.stats(address(2))["lost"]["no_buffer"] == model.counters.reports_dropped > 5
    assert model.stats(address(2))["heard"] == 0


def test_a_radio_transmitting_is_deaf_for_the_whole_event() -> None:
    model = AirModel(seed=2, loss=0.0)
    for number in (1, 2):
        host, _ = join(model, number)
        host.handle(advertise(OP, interval_ms=20, kind=3))
        host.handle(scan())
    model.step(60 * SECOND)
    stats = model.stats(address(1))
    assert stats["lost"]["own"] / model.stats(address(2))["said"]["op"] == pytest.approx(0.086, rel=0.2)


def test_five_hundred_advertisers_in_range_lose_what_pure_aloha_loses() -> None:
    model = AirModel(seed=4, radio=Radio.disc(30.0)._replace(fading_db=0.0))
    for number in range(500):
        greeting = hello(0)
        greeting.address = bytes((0xC0, 1, 0, 0, number >> 8, number & 255))
        host = model.join(greeting, Recorder())
        model.timeline.at(number * 2003, _Say(host))
    scanner, _ = join(model, 1)
    scanner.handle(scan(1000, 1000))
    model.step(40 * SECOND)
    stats = model.stats(address(1))
    listened = stats["heard"] + stats["lost"]["collision"]
    assert listened > 18_000
    assert stats["heard"] / listened == pytest.approx((1 - 2 * 376 / 1_005_000) ** 499, abs=0.025)


class _Say:
    def __init__(self, host: Host) -> None:
        self._host = host

    def __call__(self) -> None:
        self._host.handle(advertise(OP, interval_ms=1000, kind=3))


def medium(radio: Radio, places: dict[str, float]) -> Medium:
    made = Medium(random.Random(1), 1, radio, ())
    for name, x in places.items():
        made.place(name, x, 0.0)
    return made


def test_only_packets_on_one_channel_at_one_time_collide() -> None:
    a, b, c = (address(number) for number in (1, 2, 3))
    air = medium(Radio.disc(30.0), {a: 0.0, b: 2.0, c: 1.0})
    air.transmit(a, 0, 376)
    for start, spoiled in ((375, True), (376, False), (700, False), (1400, False)):
        air.transmit(b, 10_000 + start, 376)
        air.transmit(a, 10_000, 376)
        for channel in range(3):
            at = 10_000 + 700 * channel
            verdict = air.receives(Transmission(a, channel, at, at + 376), c)
            assert (verdict == COLLISION) == spoiled, (start, channel)
        air = medium(Radio.disc(30.0), {a: 0.0, b: 2.0, c: 1.0})


def test_what_is_too_weak_to_hear_still_disturbs() -> None:
    a, b, c = (address(number) for number in (1, 2, 3))
    radio = Radio(fading_db=0.0)
    edge, hidden = (10 ** ((49.0 + over) / 25) for over in (-4.5, 3.0))
    air = medium(radio, {a: -edge, b: hidden, c: 0.0})
    assert air.reaches(a, c)
    assert not air.reaches(b, c)
    packet = Transmission(a, 0, 10_000, 10_376)
    assert air.receives(packet, c) < 0
    air.transmit(b, 10_100, 376)
    assert air.receives(packet, c) == COLLISION


def test_packets_of_links_are_lost_by_chance_and_by_level() -> None:
    a, b = address(1), address(2)
    air = medium(Radio(fading_db=0.0, loss=0.3), {a: 0.0, b: 5.0})
    found = [air.passes(a, b, 376) for _ in range(3000)]
    assert found.count(CHANCE) / len(found) == pytest.approx(0.3, abs=0.03)
    air.place(b, 10 ** (49.0 / 25), 0.0)
    found = [air.passes(a, b, 368) for _ in range(3000)]
    assert found.count(WEAK) / len(found) == pytest.approx(0.308, abs=0.03)


def test_links_are_counted_at_both_ends_and_charged_by_time() -> None:
    scene = Pair()
    made = scene.model.timeline.now
    scene.client.handle(commands.DiscoverServices(0, b""))
    scene.run(60.0)
    server, client = (scene.model.stats(address(number)) for number in (1, 2))
    assert server["connections"] == client["connections"] == 1
    assert client["link_packets"] >= 1
    assert server["link_packets"] + client["link_packets"] == scene.model.counters.gatt_packets
    assert server["link_bytes"] + client["link_bytes"] == scene.model.counters.gatt_bytes
    scene.client.handle(commands.Disconnect(0))
    scene.run(600.0)
    until = made / SECOND + 61
    assert 7.0 * 60 / 3600 < scene.model.stats(address(2))["charge"]["link"] < 7.0 * until / 3600


@pytest.mark.parametrize("silent", ["central", "peripheral"])
def test_a_link_goes_by_each_direction_of_its_pair(silent: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not heard delivers nothing; a peripheral that hears no poll says nothing either."""
    scene = Pair()
    mute = scene.client if silent == "central" else scene.server
    monkeypatch.setattr(scene.model, "passes", lambda sender, receiver, airtime: 0 if sender is mute else -50)
    scene.server.handle(commands.Notify(0, READABLE, b"up"))
    scene.client.handle(commands.Write(0, WRITABLE, 0, b"down"))
    scene.run(1.0)
    assert not scene.client_log.of(events.Notification)
    assert len(scene.server_log.of(events.WriteRequest)) == (silent == "peripheral")
    scene.run(2.0)
    assert len(scene.client_log.of(events.PeripheralDisconnected)) == 1


def test_a_scan_request_that_is_lost_has_no_response(monkeypatch: pytest.MonkeyPatch) -> None:
    for lost in (1, 2, 0):
        model = AirModel(seed=10, loss=0.0)
        one, _ = join(model, 1)
        two, log = join(model, 2)
        one.handle(advertise(b"adv", response=b"more"))
        two.handle(scan(active=1))
        mute = {1: one, 2: two}.get(lost)
        monkeypatch.setattr(model, "passes", lambda sender, *_, mute=mute: 0 if sender is mute else -50)
        model.step(3 * SECOND)
        found = {event.data for event in log.of(events.ScanResult)}
        assert found == ({b"adv"} if lost else {b"adv", b"more"})


def test_a_radio_is_deaf_during_its_connection_events() -> None:
    scene = Pair()
    third, _ = join(scene.model, 3)
    third.handle(advertise(OP, interval_ms=20, kind=3))
    scene.client.handle(scan())
    before = scene.model.stats(address(2))["lost"]["own"]
    for _ in range(100):
        scene.server.handle(commands.Notify(0, READABLE, bytes(200)))
        scene.run(0.1)
    assert scene.model.stats(address(2))["lost"]["own"] > before + 5


def test_charge_follows_the_profile_and_the_state_of_the_board() -> None:
    model = pair()
    model.set_profile(address(2), "esp32c3")
    two = model.hosts[address(2)]
    parts = model.stats(address(2))["charge"]
    assert parts["rx"] == pytest.approx(80.0 * 60 / 3600)
    assert parts["base"] == pytest.approx(charge.profile("esp32c3").base_ua * 60 / 3.6e6)
    two.handle(commands.Bye())
    model.step(3660 * SECOND)
    parts = model.stats(address(2))["charge"]
    assert parts["sleep"] == pytest.approx(0.02)
    assert parts["rx"] == pytest.approx(80.0 * 60 / 3600)
    model.set_power(address(2), "off")
    model.step(7260 * SECOND)
    assert model.stats(address(2))["charge"] == parts
    join(model, 2)
    model.step(7320 * SECOND)
    again = model.stats(address(2))["charge"]
    assert again["base"] == pytest.approx(2 * parts["base"])
    assert again["rx"] == pytest.approx(parts["rx"])


@pytest.fixture
def air(tmp_path: Path) -> Iterator[Air]:
    with Air(str(tmp_path / "air"), log=tmp_path / "frames.jsonl", loss=0.0) as running:
        yield running


def test_another_process_places_radios_and_reads_statistics(air: Air) -> None:
    script = (
        "import sys, json\n"
        "from hedgerow_boards.air.remote import RemoteAir\n"
        "with RemoteAir(sys.argv[1]) as air:\n"
        "    air.ask('place', address='C0:00:00:00:00:01', x=3, y=4)\n"
        "    air.ask('reach', a='c0:00:00:00:00:01', b='c0:00:00:00:00:02', heard=False)\n"
        "    air.ask('profile', address='c0:00:00:00:00:01', name='esp32c3')\n"
        "    air.ask('loss', chance=0.25)\n"
        "    print(json.dumps([air.ask('radios'), air.stats(), air.ask('counters')]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, air.path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    radios, stats, counters = json.loads(done.stdout)
    assert radios == [address(1)] == list(stats)
    assert stats[address(1)]["lost"]["weak"] == counters["beacons"] == 0
    medium = air.model.medium
    assert medium.position(address(1)) == (3.0, 4.0)
    assert not medium.reaches(address(1), address(2))
    assert medium.loss == 0.25
    air.power(address(1), "off")
    assert air.stats()[address(1)]["charge_mah"] < 1.0
    with RemoteAir(air.path) as remote:
        remote.ask("reach", a=address(1), b=address(2), heard=None)
        assert medium.reaches(address(1), address(2))
        remote.ask("enable", on=False)
        assert not air.enabled


@pytest.mark.parametrize(
    "request_",
    [
        b"",
        b"[]",
        b"{}",
        b'{"do":"fly"}',
        b'{"do":"place","address":"c0:00:00:00:00:01"}',
        b'{"do":"place","address":"c0:00:00:00:00:01","x":"far","y":0}',
        b'{"do":"place","address":"nowhere","x":0,"y":0}',
        b'{"do":"stats","address":"c0:00:00:00:00:09"}',
        b'{"do":"profile","address":"c0:00:00:00:00:09","name":"abacus"}',
        b'{"do":"power","address":"c0:00:00:00:00:09","state":"dim"}',
        b'{"do":{}}',
        b"\xff",
    ],
)
def test_a_request_without_sense_is_answered_by_code(request_: bytes) -> None:
    answer = json.loads(obey(AirModel(), request_))
    assert answer["error"] in ("AIR_PARAMETER", "AIR_ADDRESS")
    assert answer["detail"]


def test_a_refused_request_is_raised_and_the_channel_lives(air: Air) -> None:
    with RemoteAir(air.path) as remote:
        with pytest.raises(HedgerowError, match="AIR_PARAMETER"):
            remote.ask("stats", address=address(7))
        assert remote.ask("radios") == []
    assert air.counters.refused == 0


def test_the_frame_log_ends_with_every_radios_statistics(air: Air, tmp_path: Path) -> None:
    air.profile(address(1), "esp32c3")
    air.stop()
    air.stop()
    lines = [json.loads(line) for line in (tmp_path / "frames.jsonl").read_text().splitlines()]
    assert [(line["kind"], line["from"]) for line in lines] == [("stats", address(1))]
    assert lines[0]["charge_mah"] == sum(lines[0]["charge"].values())
    assert set(lines[0]["lost"]) >= {"weak", "collision", "interference", "chance", "not_listening", "own"}
