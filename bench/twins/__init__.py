"""The hot path again in plain Python, to see what the extension is worth: redis-py with hiredis, the same scripts."""
