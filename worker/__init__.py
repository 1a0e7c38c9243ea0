"""Celery workers: prepare, screen, upkeep. Tasks are thin shells over plain functions."""
