"""`hedgerow export`: a collection from a Big Peer into a file, page by page."""

import contextlib
import csv
import json
import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from hedgerow.errors import HedgerowError
from hedgerow_cli.big_peer_http import request
from hedgerow_cli.options import URL, Key, Url
from hedgerow_cli.output import to_json

_PAGE = 1000
_SECONDS = 60.0


def export(
    collection: Annotated[str, typer.Argument(help="The collection.")],
    url: Url = URL,
    where: Annotated[str, typer.Option(help="A DQL condition; without it all documents.")] = "",
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Write CSV with a line of names; without it JSON lines.")
    ] = False,
    output: Annotated[Path | None, typer.Option(help="The file; standard output without it.")] = None,
    key: Key = "",
) -> None:
    """Write the documents of a collection, in the order of their ids; decimals keep their digits.

    In CSV maps and lists are JSON, and what a document does not have is empty.
    """
    documents = _documents(url, collection, where, key)
    if output is None:
        _write(documents, sys.stdout, as_csv)
        return
    # A file that is there is whole: it takes its name at the end.
    part = output.with_name(output.name + ".part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            _write(documents, file, as_csv)
        part.replace(output)
    except OSError as error:
        raise HedgerowError("ARGUMENTS_INVALID", f"{output}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def _documents(url: str, collection: str, where: str, key: str) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        parameters = {"limit": str(_PAGE), **({"where": where} if where else {})}
        if after:
            parameters["after"] = after
        path = f"/api/hedgerow/v1/collections/{quote(collection, safe='')}/documents?{urlencode(parameters)}"
        page = request(url.rstrip("/") + path, _SECONDS, key=key)
        yield from page["items"]
        after = page["next"]


def _write(documents: Iterator[dict[str, Any]], file: Any, as_csv: bool) -> None:
    if not as_csv:
        for document in documents:
            file.write(to_json(document) + "\n")
        return
    # The names of all columns come first, and are known last.
    columns: dict[str, None] = {}
    with tempfile.TemporaryFile("w+", encoding="utf-8") as lines:
        for document in documents:
            columns |= dict.fromkeys(document)
            lines.write(to_json(document) + "\n")
        lines.seek(0)
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(columns)
        for line in lines:
            document = json.loads(line, parse_float=Decimal)
            rows.writerow([_cell(document[name]) if name in document else "" for name in columns])


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)
