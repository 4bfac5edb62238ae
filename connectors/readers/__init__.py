"""One module per source format: bytes in, source records out."""
