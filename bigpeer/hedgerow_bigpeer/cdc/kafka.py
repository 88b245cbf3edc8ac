"""The Kafka sink: librdkafka's idempotent producer, from which every acknowledgement is awaited.

`enable.idempotence` with `acks=all` keeps the order of each partition also over retries, and a message never
times out by itself: an event behind could otherwise overtake one that is sent again. While brokers are away
nothing is acknowledged, and the outbox is the buffer. A broker refuses a batch as a whole and does not say
for which record: what is behind it is stopped (`enable.gapless.guarantee`), and each record alone tells.
"""

import asyncio
import contextlib
import logging
import re
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hedgerow.errors import HedgerowError

from .. import limits
from .events import Event
from .sink import BEHIND, Later

log = logging.getLogger(__name__)
# That a setting of ours is experimental, and that a producer has ended by it: why is said of each record.
_KNOWN = re.compile(r"^CONFWARN|Gap-less ordering")
log.addFilter(lambda record: not _KNOWN.search(record.getMessage()))

_OWN = {
    "enable.idempotence": True,
    "enable.gapless.guarantee": True,
    "acks": "all",
    # The same partition as Java's clients choose for a key.
    "partitioner": "murmur2_random",
    "message.timeout.ms": 0,
}
#: What is wrong with a message itself.
_LASTING = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_MSG_SIZE,
    KafkaError.INVALID_RECORD,
)
_POLL_SECONDS = 0.02
_CLOSE_SECONDS = 1.0
#: So many events are handed over between two looks at what came back.
_POLL_EVERY = 64


class KafkaSink:
    """See `Sink`. Binary mode puts attributes into headers (CloudEvents' Kafka binding)."""

    def __init__(self, sink: dict[str, Any], *, binary_mode: bool) -> None:
        """Raises BRIDGE_INVALID for settings that librdkafka does not take."""
        self._topic = sink["topic"]
        self._closing = False
        self._binary = binary_mode
        self._settings = {
            "linger.ms": 5,
            **sink.get("options", {}),
            "bootstrap.servers": sink["servers"],
            **_OWN,
        }
        try:
            self._producer = self._open()
        except (KafkaException, ValueError, TypeError) as error:
            raise HedgerowError("BRIDGE_INVALID", f"`options`: {error}"[:300]) from None

    def _open(self) -> Producer:
        return Producer(self._settings, logger=log)

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """See `Sink`."""
        return await asyncio.to_thread(self._deliver, events)

    def _deliver(self, events: Sequence[Event]) -> list[str]:
        outcomes: list[str | None] = [None] * len(events)
        reason, is_refused = self._send(range(len(events)), events, outcomes)
        blocked = {event.key for event, outcome in zip(events, outcomes, strict=True) if outcome}
        for number, event in enumerate(events):
            if outcomes[number] is None and is_refused:
                if event.key in blocked:
                    outcomes[number] = BEHIND
                    continue
                reason, alone = self._send([number], events, outcomes)
                if alone:
                    outcomes[number] = reason
                    blocked.add(event.key)
            if outcomes[number] is None:
                raise Later(reason, taken=next(at for at, outcome in enumerate(outcomes) if outcome != ""))
        return [outcome or "" for outcome in outcomes]

    def _send(
        self, numbers: Sequence[int], events: Sequence[Event], outcomes: list[str | None]
    ) -> tuple[str, bool]:
        """Hand events to the producer, and wait until each is acknowledged; those that are, or can never be
        sent, have outcomes then. Return why the others have none, and whether a broker refused one of them.
        """
        failed: list[KafkaError] = []
        blocked: set[str] = set()

        def told(number: int, error: KafkaError | None) -> None:
            if error is None:
                outcomes[number] = ""
            else:
                failed.append(error)

        for at, number in enumerate(numbers):
            event = events[number]
            if at % _POLL_EVERY == 0:
                self._poll(0)
            if event.key in blocked:
                outcomes[number] = BEHIND
            elif (error := self._produce(number, event, told)) is not None:
                if error.code() not in _LASTING:
                    failed.append(error)
                    break
                outcomes[number] = str(error)
                blocked.add(event.key)
        left = int(limits.BRIDGE_DELIVER_SECONDS / _POLL_SECONDS)
        while any(outcomes[at] is None for at in numbers) and not failed and left and not self._closing:
            self._flush()
            left -= 1
        if not any(outcomes[at] is None for at in numbers):
            return "", False
        # What may still be on its way must not arrive behind what is sent again.
        self._close()
        self._producer = self._open()
        refusals = [error for error in failed if error.code() in _LASTING]
        reasons = [str(error) for error in refusals or failed]
        return reasons[0] if reasons else "no acknowledgement in time", bool(refusals)

    def _produce(self, number: int, event: Event, told: Any) -> KafkaError | None:
        """Hand over one event; return why it cannot be sent."""

        def done(error: KafkaError | None, _message: Message) -> None:
            told(number, error)

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value=event.value.encode(),
                    key=event.key.encode(),
                    headers=self._headers(event),
                    on_delivery=done,
                )
                break
            except BufferError:
                if self._closing:
                    raise Later("the sink is being closed") from None
                self._poll(_POLL_SECONDS)
            except KafkaException as error:
                refusal: KafkaError = error.args[0]
                return refusal
        return None

    def _headers(self, event: Event) -> list[tuple[str, str | bytes | None]]:
        if not self._binary:
            return [("id", event.id.encode())]
        names = [name for name in event.attributes if name != "datacontenttype"]
        headers: list[tuple[str, str | bytes | None]] = [("content-type", b"application/json")]
        return headers + [(f"ce_{name}", event.attributes[name].encode()) for name in names]

    async def close(self) -> None:
        """See `Sink`."""
        self._closing = True
        await asyncio.to_thread(self._close)

    def _close(self) -> None:
        self._producer.purge()
        left = int(_CLOSE_SECONDS / _POLL_SECONDS)
        while len(self._producer) and left:
            self._poll(_POLL_SECONDS)
            left -= 1

    def _flush(self) -> None:
        """Wait a moment for acknowledgements; nothing lingers that more might be sent with."""
        with contextlib.suppress(KafkaException):
            self._producer.flush(_POLL_SECONDS)

    def _poll(self, seconds: float) -> None:
        # That a producer has stopped for good is said here once; each of its messages is told why.
        with contextlib.suppress(KafkaException):
            self._producer.poll(seconds)
