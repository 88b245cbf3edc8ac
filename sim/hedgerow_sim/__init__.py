"""Simulations: the core and the boards' logic, thousands of times over, in virtual time on one queue."""
