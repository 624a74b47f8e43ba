"""Tests of what tenure promises, on real servers."""
