"""Protocols as state machines: what the real thing does beside what a plain reference would do."""
