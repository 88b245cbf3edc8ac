"""Bytes: CBOR, decimals, variable-length integers, schemas and segments."""
