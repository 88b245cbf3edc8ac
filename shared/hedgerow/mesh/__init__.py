"""The mesh: sync by advertising, over many hops (SPEC 6)."""
