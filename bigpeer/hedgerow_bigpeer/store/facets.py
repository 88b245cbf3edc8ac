"""What SQL sees of a document: for every path a text that sorts, byte by byte, as the value does in DQL.

So one way of comparing serves every type and every engine (`BINARY` on SQLite, `"C"` on PostgreSQL), numbers
of any form and size included. A text is cut at CUT characters: two values with different texts are different,
two with the same cut text may be.
"""

import json
import re
from typing import Any

from hedgerow.query.values import MISSING, order_key

#: A text this long may stand for a longer one.
CUT = 120

MISSING_KIND, NULL, FALSE, TRUE, NUMBER, STRING, BYTES, ARRAY, OBJECT = range(9)
#: Whatever begins with the letter of a class stands between it and the next one.
LETTERS = "0123456789"

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_]+", re.ASCII)
_PLACE_MIDDLE = 500_000
_LOW = re.compile("[\0-\3]")
_END, _ITEM_END, _ESCAPE = "\1", "\2", "\3"


def text_of(value: Any) -> str:
    """Return the text of a value, cut; raises UnicodeError for what no database can hold."""
    text = _text(order_key(value))[:CUT]
    text.encode("utf-8")
    return text


def name_of(steps: tuple[str, ...]) -> str:
    """Return what a path is called: letters, digits, `_`, `.` and `~`, whatever the fields are called."""
    if all(_PLAIN_NAME.fullmatch(step) for step in steps):
        return ".".join(steps)
    return "~" + "~".join([step.encode("utf-8", "surrogatepass").hex() for step in steps])


def facets_of(document_id: Any, fields: dict[Any, Any]) -> str:
    """Return the facets of a document as a JSON object, path by path, `_id` among them."""
    found = {"_id": text_of(document_id)}
    if isinstance(document_id, dict):
        _gather(document_id, ("_id",), found)
    _gather({name: item for name, item in fields.items() if name != "_id"}, (), found)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def dot_text(author: bytes, number: int) -> str:
    """Return how the facets of the document begin that is called by a dot: its `_id`."""
    text = f"{LETTERS[BYTES]}{author.hex()}{_ITEM_END}{_text(order_key(number))}{_ITEM_END}"
    return f'"_id":{json.dumps(LETTERS[ARRAY] + text + _END)}'


def _gather(fields: dict[Any, Any], steps: tuple[str, ...], found: dict[str, str]) -> None:
    for name, item in fields.items():
        if isinstance(name, str) and item is not MISSING:
            here = (*steps, name)
            found[name_of(here)] = text_of(item)
            if isinstance(item, dict):
                _gather(item, here, found)


def _text(key: tuple[Any, ...]) -> str:
    letter: str = LETTERS[key[0]]
    if key[0] == NUMBER:
        return letter + _number(key)
    if key[0] == STRING:
        return letter + _LOW.sub(_escape, str(key[1]))
    if key[0] == BYTES:
        return letter + bytes(key[1]).hex()
    if key[0] == ARRAY:
        return letter + "".join([_text(item) + _ITEM_END for item in key[1]]) + _END
    if key[0] == OBJECT:
        items = [part for pair in key[1] for part in pair]
        return letter + "".join([_text(item) + _ITEM_END for item in items]) + _END
    return letter


def _escape(found: re.Match[str]) -> str:
    return _ESCAPE + LETTERS[ord(found[0])]


def _number(key: tuple[Any, ...]) -> str:
    """Write what `hedgerow.query.values` compares of a number: sign, place of the first digit, digits."""
    sign = LETTERS[key[1] + 3]
    if len(key) == 2:
        return sign
    return f"{sign}{key[2] + _PLACE_MIDDLE:06d}{key[3]}"
