"""The sink that is somebody's HTTP endpoint: batches, signed as Standard Webhooks has it."""

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence
from typing import Any

from hedgerow.errors import HedgerowError

from .. import limits
from ..auth.outbound import Outbound
from .events import Event, structured
from .sink import BEHIND, Later

_PASSING = (408, 409, 421, 423, 425, 429)


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


def signs(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Say whether a webhook's request was signed with a secret: what a receiver checks."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    wanted = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()
    return hmac.compare_digest(headers["webhook-signature"], f"v1,{wanted}")
