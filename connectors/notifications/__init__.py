"""Telling third parties that something they may see has changed; never what."""
