"""The readable form of values, changes and schemas in tests/core/data/vectors.json; see its README."""

from hedgerow.codec import cbor
from hedgerow.codec.decimal import Decimal
from hedgerow.codec.schema import Schema
from hedgerow.operation import CLOCK, MERGE_STAMP, UNSET

KINDS = ["INSERT", "INITIAL", "UPDATE", "DELETE", "CLOCK", "COUNTER"]
CLOCK_PARTS = ["epoch", "uptime", "base", "source", "utc", "error"]


def hexed(data: bytes) -> str:
    return "".join(f"{byte:02x}" for byte in data)


def unhexed(text: str) -> bytes:
    return bytes([int(text[at : at + 2], 16) for at in range(0, len(text), 2)])


def to_value(form: object) -> object:
    """Return the value of its JSON form."""
    if isinstance(form, list):
        return [to_value(item) for item in form]
    if not isinstance(form, dict):
        return form
    if "map" in form:
        return {key: to_value(value) for key, value in form["map"]}
    if "decimal" in form:
        return Decimal(int(form["decimal"][0]), form["decimal"][1])
    if "bytes" in form:
        return unhexed(form["bytes"])
    if "integer" in form:
        return int(form["integer"])
    return cbor.UNDEFINED if "undefined" in form else cbor.decode(unhexed(form["cbor"]))


def from_value(value: object) -> object:
    """Return the JSON form of a value."""
    if isinstance(value, (list, tuple)):
        return [from_value(item) for item in value]
    if isinstance(value, dict):
        return {"map": [[key, from_value(value[key])] for key in sorted(value)]}
    if isinstance(value, Decimal):
        return {"decimal": [str(value.mantissa), value.exponent]}
    if isinstance(value, bytes):
        return {"bytes": hexed(value)}
    if value is cbor.UNDEFINED:
        return {"undefined": True}
    if value is None or value is True or value is False or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 1 << 53 else {"integer": str(value)}
    return {"cbor": hexed(cbor.encode(value))}


def to_schema(form: dict) -> Schema:
    fields = [(tuple(name) if isinstance(name, list) else name, scale) for name, scale in form["fields"]]
    return Schema(form["collection"], form["kind"], tuple(fields))


def to_change(form: dict) -> list:
    """Return the change of its JSON form."""
    kind = KINDS.index(form["kind"])
    if kind == CLOCK:
        return [kind] + [form[part] for part in CLOCK_PARTS]
    change = [kind, unhexed(form["schema"]), to_value(form["id"])]
    if "values" in form:
        change.append([to_value(value) for value in form["values"]])
    options = {}
    if "merge_stamp" in form:
        options[MERGE_STAMP] = unhexed(form["merge_stamp"])
    if "unset" in form:
        options[UNSET] = form["unset"]
    return change + [options] if options else change


def from_change(change: list) -> dict:
    """Return the JSON form of a change."""
    form = {"kind": KINDS[change[0]]}
    if change[0] == CLOCK:
        for part, value in zip(CLOCK_PARTS, change[1:]):
            form[part] = value
        return form
    form["schema"] = hexed(change[1])
    form["id"] = from_value(change[2])
    if len(change) > 3 and not isinstance(change[3], dict):
        form["values"] = [from_value(value) for value in change[3]]
    options = change[-1] if isinstance(change[-1], dict) else {}
    if MERGE_STAMP in options:
        form["merge_stamp"] = hexed(options[MERGE_STAMP])
    if UNSET in options:
        form["unset"] = options[UNSET]
    return form
