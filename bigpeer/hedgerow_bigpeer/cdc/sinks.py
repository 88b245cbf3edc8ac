"""The sinks there are, by the type that a bridge names."""

from pathlib import Path

from hedgerow.errors import HedgerowError

from ..auth.outbound import Outbound
from .config import BridgeConfig
from .file import FileSink
from .sink import Sink
from .webhook import WebhookSink


def open_sink(config: BridgeConfig, folder: Path) -> Sink:
    """Return the sink of a bridge; files lie in a folder. Raises BRIDGE_INVALID."""
    sink = config.sink
    by_structure = config.format == "cloudevents"
    if sink["type"] == "file":
        return FileSink(folder / sink["path"], structured_mode=by_structure)
    if sink["type"] == "webhook":
        return WebhookSink(sink, Outbound(), structured_mode=by_structure)
    try:
        # Drivers that nothing else needs.
        if sink["type"] == "mqtt":
            from .mqtt import MqttSink

            return MqttSink(sink, structured_mode=by_structure)
        if sink["type"] == "postgresql":
            from .postgres import PostgresSink

            return PostgresSink(sink)
        from .kafka import KafkaSink

        return KafkaSink(sink, binary_mode=by_structure)
    except ImportError as error:
        raise HedgerowError("BRIDGE_INVALID", f"pip install 'hedgerow[{sink['type']}]': {error}") from None
