"""Bytes in, source records out: XML documents, alone or in ZIP archives, and the guards of both."""
