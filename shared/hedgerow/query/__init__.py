"""The reference evaluator of DQL: statements as plain tuples over documents as plain values (SPEC 10)."""
