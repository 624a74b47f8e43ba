"""Mutants of the system: each breaks one of its promises, and the checker must say so.

`python -m tests.mutants NAME --seed N` runs one by hand. A mutant lives in child processes only: statements, Python and
Lua are changed on their way, nothing on disk is.
"""
