"""Demonstrations: sources, relabelling, splits, the normaliser and the data card."""
