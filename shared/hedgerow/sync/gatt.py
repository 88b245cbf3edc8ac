"""The GATT service that carries a session's byte stream (SPEC 7.2)."""

SERVICE = "6d1e0001-7b36-4c0f-9a5e-4865646765a1"
RX = "6d1e0002-7b36-4c0f-9a5e-4865646765a1"
TX = "6d1e0003-7b36-4c0f-9a5e-4865646765a1"
