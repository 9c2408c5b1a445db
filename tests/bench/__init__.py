"""Benchmarks: `python -m tests.bench.NAME` prints one table; with --json, JSON as the last line."""
