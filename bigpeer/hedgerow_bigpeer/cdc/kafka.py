"""The Kafka sink: librdkafka's idempotent producer, from which every acknowledgement is awaited.

`enable.idempotence` with `acks=all` keeps the order of each partition also over retries, and a message never
times out by itself: an event behind could otherwise overtake one that is sent again. While brokers are away
nothing is acknowledged, and the outbox is the buffer.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from hedgerow.errors import HedgerowError

from .. import limits
from .events import Event
from .sinks import BEHIND, Later

_OWN = {
    "enable.idempotence": True,
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
            self._producer = Producer(self._settings)
        except (KafkaException, ValueError, TypeError) as error:
            raise HedgerowError("BRIDGE_INVALID", f"`options`: {error}"[:300]) from None

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """See `Sink`."""
        return await asyncio.to_thread(self._deliver, events)

    def _deliver(self, events: Sequence[Event]) -> list[str]:
        """Hand events to the producer, and wait until each is acknowledged."""
        outcomes: list[str | None] = [None] * len(events)
        failed: list[str] = []

        blocked: set[str] = set()

        def done(number: int, error: KafkaError | None) -> None:
            if error is None:
                outcomes[number] = ""
            elif error.code() in _LASTING:
                outcomes[number] = str(error)
                blocked.add(events[number].key)
            else:
                failed.append(str(error))

        for number, event in enumerate(events):
            if event.key in blocked:
                outcomes[number] = BEHIND
                continue
            self._produce(number, event, done)
            if failed:
                break
        left = int(limits.BRIDGE_DELIVER_SECONDS / _POLL_SECONDS)
        while any(outcome is None for outcome in outcomes) and not failed and left and not self._closing:
            self._producer.poll(_POLL_SECONDS)
            left -= 1
        if any(outcome is None for outcome in outcomes):
            # What may still be on its way must not arrive behind what is sent again.
            self._close()
            self._producer = Producer(self._settings)
            reason = failed[0] if failed else "no acknowledgement in time"
            taken = next(number for number, outcome in enumerate(outcomes) if outcome != "")
            raise Later(reason, taken=taken)
        return [outcome or "" for outcome in outcomes]

    def _produce(self, number: int, event: Event, done: Any) -> None:
        def told(error: KafkaError | None, _message: Message) -> None:
            done(number, error)

        while True:
            try:
                self._producer.produce(
                    self._topic,
                    value=event.value.encode(),
                    key=event.key.encode(),
                    headers=self._headers(event),
                    on_delivery=told,
                )
                break
            except BufferError:
                if self._closing:
                    raise Later("the sink is being closed") from None
                self._producer.poll(_POLL_SECONDS)
            except KafkaException as error:
                done(number, error.args[0])
                return
        self._producer.poll(0)

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
        self._producer.flush(1.0)
