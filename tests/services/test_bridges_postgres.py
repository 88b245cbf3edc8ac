"""What test_bridges.py asks of a Big Peer, over PostgreSQL."""

import pytest
from test_bridges import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("on_postgres")
