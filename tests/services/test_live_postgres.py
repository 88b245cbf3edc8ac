"""What test_live.py asks of a Big Peer, over PostgreSQL."""

import pytest
from test_live import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("on_postgres")
