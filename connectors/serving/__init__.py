"""The serving store's parts; ``connectors.serving_store`` is what others import."""
