"""A delivery's files become canonical rows and findings, visible to no one."""
