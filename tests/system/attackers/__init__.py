"""Attackers: programs with a stated power that run beside the unmodified demo.

A *radio outsider* has a radio in reach and knows the mesh's name; a *member* has a credential, or the flash
of a board that has one; *who stole a gateway* has its files; the *network* reaches the Big Peer. None of
them touches the demo's processes: they use the air's socket, HTTP and WebSocket, and copies of files.
"""
