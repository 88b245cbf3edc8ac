"""What test_retention.py asks of a Big Peer, over PostgreSQL."""

import pytest
from test_retention import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("on_postgres")
