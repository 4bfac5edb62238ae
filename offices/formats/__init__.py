"""Data: the record formats that several offices share. No Python besides this line."""
