"""Sync without IO: beacons, sessions, exchanges, and the choice of a neighbour."""
