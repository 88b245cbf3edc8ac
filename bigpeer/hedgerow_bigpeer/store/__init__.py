"""What the Big Peer keeps: the Store port, and SQLite behind it."""
