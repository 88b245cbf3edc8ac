"""Logs of the long-running commands on standard error: text, or one JSON object per line."""

import json
import logging
import time

from rich.logging import RichHandler

from hedgerow_cli.output import errors

_RESERVED = ("asyncio", "httpcore", "httpx", "uvicorn.error", "websockets")


class JsonFormatter(logging.Formatter):
    """{"time", "level", "logger", "message"} and, if there is one, "trace"."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up(*, as_json: bool, verbose: bool) -> None:
    """Log to standard error from now on; other people's libraries only from WARNING up."""
    handler: logging.Handler
    if as_json:
        handler = logging.StreamHandler()
        handler.setFormatter(JsonFormatter())
    elif not errors.is_terminal:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    else:
        handler = RichHandler(console=errors, show_path=False, log_time_format="[%H:%M:%S]")
        handler.setFormatter(logging.Formatter("%(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for name in _RESERVED:
        logging.getLogger(name).setLevel(logging.WARNING)
