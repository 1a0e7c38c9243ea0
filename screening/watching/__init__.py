"""Watching over time: whether what a checkpoint says today is spread as it was when it was measured."""
