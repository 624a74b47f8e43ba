"""The checker: its parts, a run of it, and mutants that it must catch."""
