"""The only room that touches the outside: disk, database, SFTP, DuckDB, file formats."""

from connectors.sqlite_setup import keep_no_account_of_memory

keep_no_account_of_memory()  # here, because SQLite refuses once a module below has used it
