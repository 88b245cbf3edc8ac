"""Sync without IO: sessions and exchanges."""
