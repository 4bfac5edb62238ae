"""The only room that touches the outside: disk, database, SFTP, DuckDB, file formats."""
