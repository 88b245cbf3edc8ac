"""POST /api/v4/store/execute: a statement in, Ditto's envelope out (SPEC 10.9)."""

import asyncio
import logging
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError

from .. import limits
from ..query import Answer, Queries
from ..service import Service
from .encoding import JSON, Encoding, answer_encoding, request_encoding

log = logging.getLogger(__name__)

TRANSACTION_HEADER = "X-DITTO-TXN-ID"

# Everything else that a request can do wrong is a 400.
_STATUS = {
    "TRANSACTION_NOT_REACHED": 404,
    "QUERY_TIMEOUT": 408,
    "QUERY_CONFLICT": 409,
    "REQUEST_ACCEPT": 406,
    "REQUEST_TOO_LARGE": 413,
    "REQUEST_TYPE": 415,
    "STORE_FAILED": 503,
}


class ExecuteEndpoint:
    """Answers statements; at most `limits.STATEMENTS_AT_ONCE` run at a time, the others wait."""

    def __init__(self, service: Service, queries: Queries) -> None:
        self._service = service
        self._queries = queries
        self._turns = asyncio.Semaphore(limits.STATEMENTS_AT_ONCE)

    async def __call__(self, request: Request) -> Response:
        """Answer in the encoding that the request accepts; every error is coded, in the same envelope."""
        encoding = JSON
        try:
            body_encoding = request_encoding(request.headers.get("content-type", ""))
            encoding = body_encoding
            encoding = answer_encoding(request.headers.get("accept", ""), body_encoding)
            body = await _body(request)
            statement, arguments = await self._queries.work(lambda: _read(body_encoding.loads(body)))
            await self._service.reached(_transaction(request), limits.TRANSACTION_WAIT_SECONDS)
            async with self._turns:
                by_json = body_encoding is JSON
                answer = await self._queries.execute(statement, arguments, by_json=by_json)
                content = await self._queries.work(encoding.dumps, _envelope(answer))
            return _respond(200, encoding, content, answer.transaction)
        except HedgerowError as error:
            return self._refuse(encoding, error)
        except Exception as error:
            log.exception("a statement failed")
            return self._refuse(encoding, HedgerowError("STORE_FAILED", type(error).__name__))

    def _refuse(self, encoding: Encoding, error: HedgerowError) -> Response:
        self._service.counters.statement_errors += 1
        transaction = self._service.transaction
        content = encoding.dumps(_refusal(error, transaction))
        return _respond(_STATUS.get(error.code, 400), encoding, content, transaction)


async def _body(request: Request) -> bytes:
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > limits.BODY_BYTES:
                raise HedgerowError("REQUEST_TOO_LARGE", f"over {limits.BODY_BYTES} bytes")
    except ClientDisconnect:
        raise HedgerowError("REQUEST_SYNTAX", "the body ended early") from None
    return bytes(body)


def _read(body: Any) -> tuple[str, dict[str, Any]]:
    if not isinstance(body, dict) or not isinstance(body.get("statement"), str):
        raise HedgerowError("REQUEST_SHAPE", "no text `statement`")
    arguments = body.get("args")
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict) or len(arguments) > limits.ARGUMENTS:
        raise HedgerowError("REQUEST_SHAPE", f"`args` is no object of at most {limits.ARGUMENTS}")
    return body["statement"], arguments


def _transaction(request: Request) -> int:
    """Return the transaction that the answer must not be older than; 0 for any."""
    text = request.headers.get(TRANSACTION_HEADER, "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise HedgerowError("REQUEST_SHAPE", f"{TRANSACTION_HEADER} is no transaction id")
    return int(text)


def _envelope(answer: Answer) -> dict[str, Any]:
    return {
        "transactionId": answer.transaction,
        "queryType": answer.kind,
        "items": answer.items,
        "mutatedDocumentIds": answer.mutated,
        "warnings": [{"_id": document_id, "description": text} for document_id, text in answer.warnings],
        "totalWarningsCount": len(answer.warnings),
        "error": {},
    }


def _refusal(error: HedgerowError, transaction: int) -> dict[str, Any]:
    envelope = _envelope(Answer(transaction, "unknown", [], [], []))
    envelope["error"] = {"code": error.code, "description": error.detail or error.code}
    return envelope


def _respond(status: int, encoding: Encoding, content: bytes, transaction: int) -> Response:
    return Response(
        content,
        status,
        media_type=encoding.media_type,
        headers={TRANSACTION_HEADER: str(transaction), "Cache-Control": "no-store"},
    )
