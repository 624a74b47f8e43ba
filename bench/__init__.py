"""What tenure costs: benchmarks of its parts, and of the whole on real stores."""
