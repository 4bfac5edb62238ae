"""FastAPI: HTTP in, HTTP out, nothing else."""
