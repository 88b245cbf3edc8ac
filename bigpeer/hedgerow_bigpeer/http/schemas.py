"""What the description of the API (OpenAPI 3.1) is made of: schemas, parameters, operations with answers."""

from typing import Any

from hedgerow.limits import MAX_NAME

from .answers import STATUS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
TRUTH: Schema = {"type": "boolean"}
TIME: Schema = {"type": "string", "format": "date-time"}
HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]*$"}
#: Bytes in base64url without padding.
BYTES: Schema = {"type": "string", "pattern": "^[A-Za-z0-9_-]*$"}
#: Seconds of UTC since 1970.
SECONDS: Schema = {"type": "integer", "minimum": 0}
#: A length of time, such as 90d.
LENGTH: Schema = {"type": "string", "pattern": "^[1-9][0-9]{0,8}(ms|s|m|h|d)$"}
#: The name of a collection.
NAME: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME}
#: A name in small letters, as apps and bridges have it.
LABEL: Schema = {"type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"}


def ref(name: str) -> Schema:
    """Return a reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    """Return a schema that allows null besides."""
    if isinstance(schema.get("type"), str) and "enum" not in schema:
        return {**schema, "type": [schema["type"], "null"]}
    return {"anyOf": [schema, {"type": "null"}]}


def listed(item: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": item}


def closed(**properties: Schema) -> Schema:
    """Return an object that has exactly these."""
    return given(*properties, **properties)


def given(*required: str, **properties: Schema) -> Schema:
    """Return an object that has no others than these, and needs not have more than `required`."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def parameter(name: str, about: str, schema: Schema, place: str = "query") -> Schema:
    """Return a parameter; those of a path are required."""
    return {
        "name": name,
        "in": place,
        "description": about,
        "required": place == "path",
        "schema": schema,
    }


def json_of(answer: str) -> Schema:
    """Return content in JSON, as the schema of that name has it."""
    return {"application/json": {"schema": ref(answer)}}


def refusals() -> Schema:
    """Return every answer that is problem details."""
    problem = {"application/problem+json": {"schema": ref("Problem")}}
    statuses = sorted({400, *STATUS.values()})
    found = {str(status): {"description": "Refused.", "content": problem} for status in statuses}
    return {**found, "403": foreign(problem)}


def foreign(content: Schema) -> Schema:
    """Return the answer 403, which on loopback is for requests that name another host, too."""
    return {"description": "Refused.", "content": {**content, "text/plain": {"schema": TEXT}}}


def operation(about: str, content: Schema, *parameters: Schema, body: str | None = None) -> Schema:
    """Return an operation with the content of its answer, and the schema of the JSON that it takes."""
    found: Schema = {
        "summary": about,
        "parameters": list(parameters),
        "responses": {"200": {"description": "The answer.", "content": content}, **refusals()},
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": json_of(body)}
    return found


def answered(about: str, answer: str, *parameters: Schema, body: str | None = None) -> Schema:
    """Return an operation whose answer is JSON, as the schema of that name has it."""
    return operation(about, json_of(answer), *parameters, body=body)
