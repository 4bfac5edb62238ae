"""The register: an append-only Delta log and a compacted Delta base per right, read by DuckDB."""
