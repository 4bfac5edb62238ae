"""Dagster: says when and in what order things run, never how to parse."""
