"""Data: how each office writes its records. No Python besides this line."""
