"""The measured comparisons: `python -m benchmarks`, or `make bench`. Nothing here is asserted in tests."""
