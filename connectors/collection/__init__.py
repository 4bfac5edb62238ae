"""Fetching what offices left in their folders: what is new, whole and belongs together."""
