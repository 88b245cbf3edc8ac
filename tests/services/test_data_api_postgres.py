"""What test_data_api.py asks of a Big Peer, over PostgreSQL."""

import pytest
from test_data_api import *  # noqa: F403

pytestmark = pytest.mark.usefixtures("on_postgres")
