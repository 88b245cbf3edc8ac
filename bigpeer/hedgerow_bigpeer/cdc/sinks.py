"""Sinks: what takes the events of a bridge, and says of each whether it has it.

A sink that cannot at this moment raises `Later`; nothing is lost by that, the outbox waits. One that will
never take an event says so for that event alone.
"""

import asyncio
import base64
import hashlib
import hmac
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth.outbound import Outbound
from .config import BridgeConfig
from .events import Event, structured

#: Why an event is not sent that could be.
BEHIND = "behind an event that is parked"
_PASSING = (408, 409, 421, 423, 425, 429)


class Later(Exception):
    """A sink cannot take anything now; `seconds` says when to ask again, None for whenever."""

    def __init__(self, reason: str, seconds: float | None = None, taken: int = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.seconds = seconds
        #: How many of the events, from the first, are there.
        self.taken = taken


class Sink(Protocol):
    """Takes events in order; tests/bigpeer/sink_contract.py says what that means."""

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """Take events; return of each "" once it is safe there, or why it will never be taken. Raises Later.

        Behind one that is refused, those of its key are not sent, and answered BEHIND.
        """
        ...

    async def close(self) -> None:
        """Let go."""
        ...


class FileSink:
    """Appends a line of JSON for each event, forced to the disk before it counts as taken."""

    def __init__(self, path: Path, *, structured_mode: bool) -> None:
        self._path = path
        self._structured = structured_mode

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """See `Sink`."""
        lines = [structured(event) if self._structured else event.value for event in events]
        try:
            await asyncio.to_thread(self._append, "".join([f"{line}\n" for line in lines]).encode())
        except OSError as error:
            raise Later(f"{self._path.name}: {error.strerror}") from None
        return [""] * len(events)

    def _append(self, data: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a+b") as file:
            # What a crash left of a line is no line.
            end = file.seek(0, os.SEEK_END)
            if end:
                file.seek(end - 1)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    async def close(self) -> None:
        """See `Sink`."""


class WebhookSink:
    """POSTs events in batches, signed: HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks)."""

    def __init__(self, sink: dict[str, Any], outbound: Outbound, *, structured_mode: bool) -> None:
        self._url = sink["url"]
        self._secret = sink["secret"].encode()
        self._private = sink.get("private", False)
        self._batch = sink.get("batch", 100)
        self._structured = structured_mode
        self._outbound = outbound

    async def deliver(self, events: Sequence[Event]) -> Sequence[str]:
        """See `Sink`."""
        outcomes: list[str] = []
        for at in range(0, len(events), self._batch):
            try:
                outcomes += await self._post(events[at : at + self._batch])
            except Later as later:
                raise Later(later.reason, later.seconds, taken=at + later.taken) from None
        return outcomes

    async def _post(self, events: Sequence[Event]) -> list[str]:
        status, wait = await self._ask(events)
        if 200 <= status < 300:
            return [""] * len(events)
        reason = f"answered {status}"
        if status >= 500 or status in _PASSING or status < 400:
            raise Later(reason, wait)
        if len(events) == 1:
            return [reason]
        # One of them is what it does not take: each alone tells which.
        outcomes: list[str] = []
        refused: set[str] = set()
        for number, event in enumerate(events):
            if event.key in refused:
                outcomes.append(BEHIND)
                continue
            try:
                outcomes += await self._post([event])
                if outcomes[-1]:
                    refused.add(event.key)
            except Later as later:
                # Those that were refused are asked again: they must not count as taken.
                taken = next((at for at, outcome in enumerate(outcomes) if outcome), number)
                raise Later(later.reason, later.seconds, taken=taken) from None
        return outcomes

    async def _ask(self, events: Sequence[Event]) -> tuple[int, float | None]:
        texts = [structured(event) if self._structured else event.value for event in events]
        body = f"[{','.join(texts)}]".encode()
        moment = str(int(time.time()))
        name = events[0].id
        signature = hmac.new(self._secret, f"{name}.{moment}.".encode() + body, hashlib.sha256).digest()
        kind = "application/cloudevents-batch+json" if self._structured else "application/json"
        headers = {
            "content-type": kind,
            "webhook-id": name,
            "webhook-timestamp": moment,
            "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
        }
        try:
            status, answered = await self._outbound.post(self._url, body, headers, private=self._private)
        except HedgerowError as error:
            raise Later(error.detail or error.code) from None
        wait = answered.get("retry-after", "")
        return status, min(float(wait), limits.BRIDGE_WAIT_SECONDS) if wait.isdecimal() else None

    async def close(self) -> None:
        """See `Sink`."""
        await self._outbound.close()


def open_sink(config: BridgeConfig, folder: Path) -> Sink:
    """Return the sink of a bridge; files lie in a folder. Raises BRIDGE_INVALID."""
    sink = config.sink
    by_structure = config.format == "cloudevents"
    if sink["type"] == "file":
        return FileSink(folder / sink["path"], structured_mode=by_structure)
    if sink["type"] == "webhook":
        return WebhookSink(sink, Outbound(), structured_mode=by_structure)
    try:
        # Drivers that nothing else needs.
        if sink["type"] == "mqtt":
            from .mqtt import MqttSink

            return MqttSink(sink, structured_mode=by_structure)
        if sink["type"] == "postgresql":
            from .postgres import PostgresSink

            return PostgresSink(sink)
        from .kafka import KafkaSink

        return KafkaSink(sink, binary_mode=by_structure)
    except ImportError as error:
        raise HedgerowError("BRIDGE_INVALID", f"pip install 'hedgerow[{sink['type']}]': {error}") from None


def signs(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Say whether a webhook's request was signed with a secret: what a receiver checks."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["webhook-signature"], f"v1,{wanted}")
