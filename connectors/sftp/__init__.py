"""SFTP: how the hub reads the offices' folders, and the embedded server for demos and tests."""
