"""Measurements: ratios to a named peer or a physical limit, in one run. Not part of the wheel."""
