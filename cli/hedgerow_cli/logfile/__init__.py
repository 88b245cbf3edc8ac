"""A board's log as a file on this machine: fetched, looked into, and delivered."""
