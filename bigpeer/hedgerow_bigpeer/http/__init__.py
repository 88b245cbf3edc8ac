"""The HTTP API: statements in, answers out, in three encodings (SPEC 10.9)."""
