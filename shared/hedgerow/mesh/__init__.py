"""Sync by advertising: what a peer says and hears in 31 bytes at a time."""
