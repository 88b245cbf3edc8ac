"""The description of the API (OpenAPI 3.1): every answer has a closed schema; what is in documents, and only
that, is anything.
"""

import functools
from typing import Any

from .openapi_bridges import BRIDGE_SCHEMAS, bridge_paths
from .openapi_data import SCHEMAS, data_paths
from .openapi_rights import RIGHTS_SCHEMAS, rights_paths

_PREFIX = "/api/hedgerow/v1"


@functools.cache
def description() -> dict[str, Any]:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "Hedgerow Big Peer", "version": "1", "license": {"name": "Apache-2.0"}},
        "security": [{}, {"bearer": []}],
        "paths": {**data_paths(_PREFIX), **bridge_paths(_PREFIX), **rights_paths(_PREFIX)},
        "components": {
            "schemas": {**SCHEMAS, **BRIDGE_SCHEMAS, **RIGHTS_SCHEMAS},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }
