"""What every sink must do. A test file calls each check with a Receiver, which is what a sink delivers to."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from hedgerow.codec import cbor
from hedgerow_bigpeer.cdc.config import BridgeConfig
from hedgerow_bigpeer.cdc.events import Event, Events
from hedgerow_bigpeer.cdc.sink import BEHIND, Later, Sink
from hedgerow_bigpeer.store.corrections import Correction, End
from hedgerow_bigpeer.store.rows import TIMES, OutboxRow


class Receiver(Protocol):
    """The other side of a sink."""

    def open(self) -> Sink:
        """Return a sink that delivers here."""
        ...

    def away(self, gone: bool) -> None:
        """Be away, or be back."""
        ...

    def refuse(self, text: str) -> None:
        """Never take an event with this text in it; "" takes all. False if the receiver takes anything."""
        ...

    async def got(self) -> list[str]:
        """Return the ids of the events that came, in order."""
        ...


CHECKS: list[Callable[[Receiver], Awaitable[None]]] = []


def check(function: Callable[[Receiver], Awaitable[None]]) -> Callable[[Receiver], Awaitable[None]]:
    """Add a check to the suite."""
    CHECKS.append(function)
    return function


def event(number: int, key: str = "k", text: str = "text") -> Event:
    """Make an event."""
    attributes = {
        "specversion": "1.0",
        "id": f"e:{number}",
        "source": "/apps/a",
        "type": "t",
        "datacontenttype": "application/json",
    }
    return Event(number, 1, f"e:{number}", key, f'{{"n": {number}, "t": "{text}"}}', attributes)


def time_event(form: str = "ditto") -> Event:
    """Make the event of a correction of times."""
    author = b"a" * 8
    ends = End(2, None, (5000, 10, 2)), End(3, (1, 2, None), (6000, 10, 2))
    data = Correction(["readings"], (1, 1), *ends).encode()
    row = OutboxRow(1, 4, TIMES, cbor.encode([author, 2]), "u", None, data, author, 4, bytes(8), 0)
    made = Events(BridgeConfig("b", (), form, {}), "a", b"e" * 16).make(row)
    assert made is not None
    return made


async def taken(sink: Sink, events: Sequence[Event]) -> Any:
    """Deliver; return the outcomes, or ("later", how many were taken)."""
    try:
        return list(await sink.deliver(events))
    except Later as later:
        return "later", later.taken


@check
async def events_come_in_order(receiver: Receiver) -> None:
    sink = receiver.open()
    assert await taken(sink, [event(n, f"k{n % 3}") for n in range(40)]) == [""] * 40
    assert await taken(sink, [event(40)]) == [""]
    await sink.close()
    assert [name for name in await receiver.got() if name] == [f"e:{n}" for n in range(41)]


@check
async def what_is_away_is_asked_again(receiver: Receiver) -> None:
    sink = receiver.open()
    receiver.away(True)
    outcome = await taken(sink, [event(1), event(2)])
    assert outcome[0] == "later"
    receiver.away(False)
    while True:
        outcome = await taken(sink, [event(1), event(2)])
        if outcome == ["", ""]:
            break
        assert outcome[0] == "later"
    await sink.close()
    got = await receiver.got()
    assert list(dict.fromkeys(got)) == ["e:1", "e:2"]


@check
async def one_that_is_never_taken_holds_up_its_own_key_alone(receiver: Receiver) -> None:
    receiver.refuse("poison")
    sink = receiver.open()
    events = [event(1, "a"), event(2, "b", "poison"), event(3, "b"), event(4, "a"), event(5, "c")]
    outcomes = await taken(sink, events)
    if outcomes != [""] * 5:
        assert outcomes[0] == outcomes[3] == outcomes[4] == "" and outcomes[1] and outcomes[2] == BEHIND
        assert sorted(set(await receiver.got())) == ["e:1", "e:4", "e:5"]
    await sink.close()


@check
async def a_correction_of_times_is_taken(receiver: Receiver) -> None:
    sink = receiver.open()
    assert await taken(sink, [event(1), time_event(), event(2)]) == ["", "", ""]
    await sink.close()
    assert set(await receiver.got()) == {"e:1", time_event().id, "e:2"}
