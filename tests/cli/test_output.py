"""JSON that keeps digits, and logs as JSON lines."""

import json
import logging
from decimal import Decimal

import pytest

from hedgerow.errors import CODES, HedgerowError
from hedgerow_cli import output
from hedgerow_cli.logs import JsonFormatter


def test_decimals_keep_their_digits() -> None:
    text = output.to_json({"a": [Decimal("39.40"), Decimal("-0.5"), None, True, 7, "ü"], "b": {}})
    assert text == '{"a": [39.40, -0.5, null, true, 7, "ü"], "b": {}}'
    assert json.loads(text, parse_float=Decimal)["a"][0].as_tuple() == Decimal("39.40").as_tuple()


def test_an_unknown_code_is_printed_bare(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A command with --json may have run in this process before.
    monkeypatch.setattr(output.Machine, "json", False)
    assert "NO_SUCH_CODE" not in CODES
    output.fail(HedgerowError("NO_SUCH_CODE", "it\nbroke"))
    assert capsys.readouterr().err == "NO_SUCH_CODE: it broke\n"


def test_a_log_line_is_one_json_object() -> None:
    record = logging.LogRecord("a.b", logging.WARNING, __file__, 1, "lost %d\nlines", (3,), None)
    record.created, record.msecs = 0.25, 250.0
    line = JsonFormatter().format(record)
    assert "\n" not in line
    assert json.loads(line) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "warning",
        "logger": "a.b",
        "message": "lost 3\nlines",
    }
