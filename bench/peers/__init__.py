"""tenure beside other job systems: the same jobs, the same stores, one run."""
