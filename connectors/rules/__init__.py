"""Quality rules as SQL over staged rows."""
