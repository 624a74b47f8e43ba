"""Parts together, on real servers."""
