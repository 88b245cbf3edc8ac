"""Figures of Hedgerow, measured on the real parts: `python -m bench`, or `make bench`."""
