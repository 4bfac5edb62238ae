"""Invented offices, records and faults for demonstrations, benchmarks and tests.

``generate`` writes the SFTP tree of the demo, ``trademark_corpus`` large archives for
benchmarks. No real person, company or right appears in what they write.
"""

from iphub.demo.corpus import trademark_corpus
from iphub.demo.manifest import DemoFile, DemoManifest, Fault, fault_table
from iphub.demo.tree import generate

__all__ = ["DemoFile", "DemoManifest", "Fault", "fault_table", "generate", "trademark_corpus"]
