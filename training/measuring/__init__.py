"""Measuring a ranking: figures with intervals, calibration, subgroups, localization, curves and the report."""
