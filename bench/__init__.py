"""Side-by-side benchmarks: workloads x contenders, interleaved. Run with `make bench`."""
