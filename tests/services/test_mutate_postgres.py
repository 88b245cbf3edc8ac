"""What test_mutate.py asks of a Big Peer, over PostgreSQL."""

import pytest
from test_mutate import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("on_postgres")
