"""Promises, kept by real processes."""
