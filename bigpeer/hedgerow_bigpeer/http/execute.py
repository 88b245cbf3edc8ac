"""POST /api/v5/store/execute, and v4, which is strict: a statement in, Ditto's envelope out (SPEC 10.9)."""

import hashlib
import logging
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from hedgerow.errors import HedgerowError

from .. import limits
from ..query import Answer, Once, Queries
from ..service import Service
from .answers import STATUS, read_body, refusal_headers
from .caller import Name
from .encoding import JSON, Encoding, answer_encoding, request_encoding

log = logging.getLogger(__name__)

TRANSACTION_HEADER = "X-DITTO-TXN-ID"
#: Paths, and whether what is no register must be declared there, as in Ditto's first language.
EXECUTE_PATHS = {"/api/v4/store/execute": True, "/api/v5/store/execute": False}
#: What the header was called first.
_OLDEST_HEADER = "X-HYDRA-TXN-ID"


class ExecuteEndpoint:
    """Answers statements."""

    def __init__(self, service: Service, queries: Queries, name: Name) -> None:
        self._service = service
        self._queries = queries
        self._name = name

    async def __call__(self, request: Request) -> Response:
        """Answer in the encoding that the request accepts; every error is coded, in the same envelope."""
        started = time.monotonic()
        try:
            return await self._answer(request)
        finally:
            self._service.counters.time_statement(time.monotonic() - started)

    async def _answer(self, request: Request) -> Response:
        encoding = JSON
        try:
            body_encoding = request_encoding(request.headers.get("content-type", ""))
            encoding = body_encoding
            encoding = answer_encoding(request.headers.get("accept", ""), body_encoding)
            caller = await self._name(request)
            body = await read_body(request, limits.BODY_BYTES)
            statement, arguments = await self._queries.work(lambda: read_statement(body_encoding.loads(body)))
            await self._service.reached(_transaction(request), limits.TRANSACTION_WAIT_SECONDS)
            strict = EXECUTE_PATHS[request.url.path]
            once = _once(request, caller.name, body, strict)
            by_json = body_encoding is JSON
            answer = await self._queries.execute(
                statement, arguments, by_json=by_json, rights=caller.rights, once=once, strict=strict
            )
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
        status = STATUS.get(error.code, 400)
        return _respond(status, encoding, content, transaction, refusal_headers(status, error))


def read_statement(body: Any) -> tuple[str, dict[str, Any]]:
    """Return statement and arguments of a request. Raises REQUEST_SHAPE."""
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
    text = request.headers.get(TRANSACTION_HEADER) or request.headers.get(_OLDEST_HEADER) or "0"
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise HedgerowError("REQUEST_SHAPE", f"{TRANSACTION_HEADER} is no transaction id")
    return int(text)


def _once(request: Request, caller: str, body: bytes, strict: bool) -> Once | None:
    """Return what tells this request when it comes again, if it has an Idempotency-Key."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= limits.ANSWER_KEY or not key.isascii() or not key.isprintable():
        raise HedgerowError(
            "REQUEST_SHAPE", f"Idempotency-Key: 1 to {limits.ANSWER_KEY} printable characters"
        )
    kind = request.headers.get("content-type", "").encode("latin-1")
    mode = b"" if strict else b"\nv5"
    return Once(caller, key, hashlib.sha256(kind + mode + b"\n" + body).digest())


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


def _respond(
    status: int, encoding: Encoding, content: bytes, transaction: int, more: dict[str, str] | None = None
) -> Response:
    return Response(
        content,
        status,
        media_type=encoding.media_type,
        headers={TRANSACTION_HEADER: str(transaction), "Cache-Control": "no-store", **(more or {})},
    )
