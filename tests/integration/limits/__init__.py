"""What may run, begin or be taken up at a time, in the whole fleet."""
