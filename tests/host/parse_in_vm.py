"""Parse the texts of a file, a JSON list, in any VM; prints the outcomes, a line of JSON each."""

import json
import sys


def shown(node: object) -> object:
    """Return a part of a statement as what JSON can hold, its types included."""
    if isinstance(node, tuple):
        return [shown(part) for part in node]
    if node is None or isinstance(node, (bool, int, str)):
        return [type(node).__name__, node]
    return [type(node).__name__, str(node) if hasattr(node, "mantissa") else ""]


def outcome(text: str) -> object:
    """Return the statement, or the code and the detail of its refusal."""
    from hedgerow.errors import HedgerowError
    from hedgerow.query.parse import parse

    try:
        return shown(parse(text))
    except HedgerowError as error:
        detail = error.detail
        # VMs write texts with other than ASCII letters in their own ways.
        return [error.code, detail.split(": ")[0], detail.rsplit("expected", 1)[-1]]


if __name__ == "__main__":
    sys.path[:0] = sys.argv[2:]
    with open(sys.argv[1]) as file:  # noqa: PTH123  (MicroPython has no pathlib)
        for text in json.loads(file.read()):
            print(json.dumps(outcome(text)))
