"""Damaged files by the hundred: no decoder may take its worker along, break its limits, or leave a file unanswered.

files      good files of every kind that is taken, and damage done to them
judging    what must be true of every answer
`make fuzz COUNT=10000` is the long form (`__main__`), test_fuzz.py the short one.
"""
