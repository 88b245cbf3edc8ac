"""The air: one radio model that emulated boards, gateways and simulations share."""

from hedgerow_boards.air.server import Air

__all__ = ["Air"]
