"""What gateway and Big Peer share and boards cannot run: the core's ports and languages on CPython."""
