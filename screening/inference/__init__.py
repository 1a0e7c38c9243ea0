"""Renditions in, probabilities and class activation maps out, on whatever this machine has."""
