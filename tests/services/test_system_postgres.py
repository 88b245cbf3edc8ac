"""What test_system.py asks of a Big Peer's database, over PostgreSQL."""

import pytest
from test_system import (  # noqa: F401
    served,
    test_a_health_document_shows_and_says_who_is_overdue,
    test_data_sync_info_has_the_shape_that_scripts_know,
    test_gaps_say_what_is_missing_and_why,
    test_statements_over_system_collections,
)

pytestmark = pytest.mark.usefixtures("on_postgres")
