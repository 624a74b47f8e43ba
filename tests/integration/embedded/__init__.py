"""The servers that tenure brings along."""
