"""Peers: what one might use instead, each in an environment of its own. See `benchmarks.peers.__main__`."""
