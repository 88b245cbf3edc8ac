"""What test_idempotency.py asks of a Big Peer, over PostgreSQL."""

import pytest
from test_idempotency import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("on_postgres")
