"""Measuring tenure on stores of one's own: what `tenure bench` runs, and the project's benchmarks with it."""
