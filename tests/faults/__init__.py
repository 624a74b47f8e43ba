"""What the whole does when its stores, its network or its processes fail."""
