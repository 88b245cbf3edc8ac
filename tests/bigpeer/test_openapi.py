"""The description of the HTTP Data API: closed, true of answers, and nothing that it allows breaks it."""

import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest
import schemathesis
from bigpeer_harness import Remote, local
from described import check_described
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis.checks import CHECKS
from schemathesis.generation import GenerationMode

from hedgerow_bigpeer import limits
from hedgerow_bigpeer.http.openapi import description

V1 = "/api/hedgerow/v1"
VALUE = {"$ref": "#/components/schemas/Value"}
TEXTS = {"type": "array", "items": {"type": "string"}}
#: What may stand in an object beside what is named there.
MORE: dict[str, list[object]] = {
    "Document": [VALUE],
    "Row": [VALUE],
    "Statement": [VALUE],
    "Window": [{"$ref": "#/components/schemas/Aggregates"}],
    "AuditDetail": [{"$ref": "#/components/schemas/AuditValue"}],
    "Side": [TEXTS],
    "GivenSide": [TEXTS],
    "GivenSink": [{"type": ["string", "number", "boolean"]}],
}
#: Ditto's clients send more, which is passed over.
OPEN = {"Statement", "GivenPermission", "GivenSide", "DittoLogin"}


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema of an object, with where it stands."""
    if isinstance(schema, dict):
        if schema.get("type") == "object" or "properties" in schema:
            yield path, schema
        for name, item in schema.items():
            yield from objects(item, f"{path}/{name}")
    elif isinstance(schema, list):
        for item in schema:
            yield from objects(item, path)


def test_nothing_is_free_but_what_is_in_documents() -> None:
    schemas = description()["components"]["schemas"]
    for path, schema in objects(schemas):
        name = path.split("/")[1]
        # Of several, each is looked at.
        more = schema.get("additionalProperties", name not in OPEN and "oneOf" not in schema)
        assert more is False or more in MORE.get(name, ()), path
    assert [name for name, schema in schemas.items() if not {"type", "anyOf"} & set(schema)] == ["Value"]


def test_all_that_can_be_asked_is_described(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        asked = {
            (method.lower(), route.path.replace(":path}", "}"))
            for route in served.asgi.routes
            for method in getattr(route, "methods", None) or ()
            if route.path.startswith(("/api/", "/_ditto/", "/metrics")) or route.path.endswith("z")
        }
    asked -= {("get", f"{V1}/openapi.json")}
    described = {(method, path) for path, methods in description()["paths"].items() for method in methods}
    assert described == {(method, path) for method, path in asked if method != "head"}


def validator(name: str) -> Any:
    document = description()
    schema = {**document["components"]["schemas"][name], "components": document["components"]}
    return jsonschema_rs.validator_for(schema)


def test_answers_are_as_described(tmp_path: Path) -> None:
    with local(tmp_path) as served:
        answers = [
            ("Answer", served.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 1.5})")),
            ("Answer", served.execute("INSERT INTO c DOCUMENTS ({'_id': 1}) ON ID CONFLICT DO NOTHING")),
            ("Answer", served.execute("UPDATE c SET n = 2")),
            ("Answer", served.execute("SELECT * FROM c")),
            ("Answer", served.execute("CREATE INDEX i ON c (n)")),
            ("Answer", served.execute("DROP INDEX i ON c")),
            ("Answer", served.execute("nonsense")),
            ("Answer", served.execute("DELETE FROM c")),
            ("Documents", served.request("GET", f"{V1}/collections/c/documents")),
            ("Series", served.request("GET", f"{V1}/timeseries/c")),
            ("Series", served.request("GET", f"{V1}/timeseries/c?window=1h&fields=n&aggregates=avg,last")),
            ("Changes", served.request("GET", f"{V1}/changes")),
            ("Peers", served.request("GET", f"{V1}/peers")),
            ("Problem", served.request("GET", f"{V1}/changes?since=x")),
        ]
        for name, answer in answers:
            validator(name).validate(answer.json())
        assert served.request("GET", f"{V1}/openapi.json").json() == description()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    served = Remote(tmp_path_factory.mktemp("server") / "data", requests_per_second=0)
    served.execute("INSERT INTO c DOCUMENTS ({'_id': 1, 'n': 1}), ({'_id': 2, 'n': 2})")
    yield served
    served.kill()


@pytest.fixture(scope="module")
def api(server: Remote) -> Any:
    document = copy.deepcopy(description())
    operations = [each for methods in document["paths"].values() for each in methods.values()]
    for operation in operations:
        # Nothing comes, and nobody has the time: what is made up as wrong may be right, and waits.
        operation["parameters"] = [each for each in operation["parameters"] if each["name"] != "wait"]
    # Nothing is asked of other servers.
    schemas = document["components"]["schemas"]
    schemas["GivenSink"]["oneOf"] = schemas["GivenSink"]["oneOf"][:1]
    for parameter in [each for operation in operations for each in operation["parameters"]]:
        # Texts that are too long are tried elsewhere: making them up takes minutes.
        parameter["schema"].pop("maxLength", None)
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    return schema


EXAMPLES = int(os.environ.get("HEDGEROW_SCHEMATHESIS", "15"))
#: A connection that has shown no key is cut off after a few bytes, of all its requests (test_door).
ALONE = {"Connection": "close"}
#: Statements and conditions have more to get wrong than names.
FEW = 4
# A condition that fits its schema may still be no DQL, and is refused; on loopback nobody needs a key.
NOT_ASKED = ("positive_data_acceptance", "ignored_auth", "missing_required_header")


def can_be_wrong(operation: dict[str, Any]) -> bool:
    """Say whether anything that is sent can be other than described: in a path all is text."""
    texts = [
        each for each in operation["parameters"] if each["in"] == "path" and "pattern" not in each["schema"]
    ]
    return "requestBody" in operation or len(texts) < len(operation["parameters"])


OPERATIONS = [
    (path, method, mode)
    for path, methods in description()["paths"].items()
    for method, operation in methods.items()
    for mode in GenerationMode
    # What is right of a live query never ends.
    if (can_be_wrong(operation) if mode is GenerationMode.NEGATIVE else not path.endswith("/live"))
]


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_nothing_that_is_sent_breaks_it(api: Any, path: str, method: str, mode: GenerationMode) -> None:
    checks = [check for check in CHECKS.get_all() if check.__name__ in NOT_ASKED]
    operation = api[path][method.upper()]

    examples = (
        EXAMPLES if path.endswith(("/execute", "/documents", "/changes")) or "/timeseries/" in path else FEW
    )

    @settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        phases=[Phase.generate],
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: Any) -> None:
        # A longer head is cut off (test_door): who still writes may see that before the answer.
        assume(len(case.as_curl_command()) < limits.UNKNOWN_BYTES - 512)
        case.call_and_validate(excluded_checks=checks, timeout=20, headers=ALONE)

    send()


def test_an_answer_that_is_not_described_fails_the_test_that_sees_it() -> None:
    request = httpx.Request("GET", f"http://127.0.0.1{V1}/changes")
    good = {"changes": [], "next": "x"}
    assert check_described(httpx.Response(200, json=good, request=request))
    assert not check_described(httpx.Response(200, json=good, request=httpx.Request("GET", "http://h/none")))
    with pytest.raises(AssertionError):
        check_described(httpx.Response(418, json=good, request=request))
    with pytest.raises(AssertionError):
        check_described(httpx.Response(200, text="no JSON", request=request))
    for wrong in ({"changes": []}, {**good, "more": 1}, {"changes": [{"op": "x"}], "next": "x"}):
        with pytest.raises(jsonschema_rs.ValidationError):
            check_described(httpx.Response(200, json=wrong, request=request))
