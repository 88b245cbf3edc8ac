"""A condition that is kept and asked of many documents, as interests have it (SPEC 10.6)."""

from .. import limits
from ..codec import cbor
from ..errors import HedgerowError
from .expression import bind, has_aggregate, holds


class Condition:
    """The text behind a WHERE, "" for all documents, with its parameters bound.

    Raises what parsing and binding do; QUERY_TOO_LONG for a text over 256 bytes, more than 16 parameters,
    or parameters over 256 bytes of CBOR.
    """

    def __init__(self, text: str, parameters: dict | None = None) -> None:
        parameters = parameters or {}
        if not isinstance(text, str) or len(text.encode()) > limits.MAX_CONDITION:
            raise _too_long("a condition is a text of at most " + str(limits.MAX_CONDITION) + " bytes")
        if not isinstance(parameters, dict) or len(parameters) > limits.MAX_PARAMETERS:
            raise _too_long("parameters are a map of at most " + str(limits.MAX_PARAMETERS))
        if len(cbor.encode(parameters)) > limits.MAX_CONDITION:
            raise _too_long("parameters take at most " + str(limits.MAX_CONDITION) + " bytes")
        self._key = cbor.encode([text, parameters])
        self._where = None
        if text:
            from .load import parse_where

            where = parse_where(text)
            if has_aggregate(where):
                raise HedgerowError("QUERY_AGGREGATE", "an aggregate stands in a condition")
            self._where = bind(where, parameters)

    def key(self) -> bytes:
        """Return bytes that are equal for equal texts and parameters: CBOR [text, parameters]."""
        return self._key

    def holds(self, document: dict) -> bool:
        """Tell whether the condition is true of a document, a dict with its `_id`.

        What cannot be worked out is not true: a neighbour's condition must stop nothing here.
        """
        try:
            return self._where is None or holds(self._where, document)
        except HedgerowError:
            return False


def _too_long(reason: str) -> HedgerowError:
    return HedgerowError("QUERY_TOO_LONG", reason)
