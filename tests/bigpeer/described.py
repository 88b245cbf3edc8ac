"""Whether answers are as the OpenAPI description says: asked of every answer that a test sees."""

import functools
import re
from typing import Any

import httpx
import jsonschema_rs

from hedgerow_bigpeer.http.openapi import description


@functools.cache
def _paths() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    found = []
    for path, methods in description()["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
        found.append((re.compile(pattern), methods))
    return found


@functools.cache
def _validator(reference: str) -> Any:
    return jsonschema_rs.validator_for({"$ref": reference, "components": description()["components"]})


def check_described(answer: httpx.Response) -> bool:
    """Fail for an answer that the description does not have; say whether it is of a path that it has."""
    path, method = answer.request.url.path, answer.request.method.lower()
    for pattern, methods in _paths():
        if pattern.fullmatch(path) and method in methods:
            responses = methods[method]["responses"]
            assert str(answer.status_code) in responses, (method, path, answer.status_code)
            content = responses[str(answer.status_code)]["content"]
            kind = answer.headers.get("content-type", "").partition(";")[0]
            assert kind in content, (method, path, answer.status_code, kind)
            if kind.endswith("json"):
                _validator(content[kind]["schema"]["$ref"]).validate(answer.json())
            return True
    return False
