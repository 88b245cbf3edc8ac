"""What a person opens in a browser: overview, login, access, audit log."""
