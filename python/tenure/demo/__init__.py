"""The main job on real input: a source tree, a job per file, a job per package, a report."""
