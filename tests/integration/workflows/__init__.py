"""Graphs of jobs, enqueued, ended and steered as one."""
