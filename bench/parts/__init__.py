"""One part of the hot path a file, each beside its twin in plain Python, in the same run."""
