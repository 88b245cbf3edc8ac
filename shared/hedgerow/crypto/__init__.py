"""Cryptography of boards and hosts: P-256, HKDF, AES-CCM, COSE, EDHOC, records, resumption (SPEC 11)."""
