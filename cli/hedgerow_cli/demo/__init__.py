"""The demo: the whole path on one machine, watched from outside and audited at the end."""
