"""Backup and restore of a home: all stores at one instant, in one file, while work goes on."""
