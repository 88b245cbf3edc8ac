"""Who may do what at the Big Peer: apps, keys, identity providers, credentials, people, and what they did."""
