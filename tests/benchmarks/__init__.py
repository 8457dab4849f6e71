"""Measurements that take minutes or real data, and so are no tests: ``python -m tests.benchmarks NAME``."""
