"""The domain: what an IP register is, what good data is, who may read it.

No framework, and no input or output beyond its own YAML.
"""
