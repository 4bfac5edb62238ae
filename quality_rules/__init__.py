"""Data: what good data is. No Python besides this line."""
