"""One job per key."""
