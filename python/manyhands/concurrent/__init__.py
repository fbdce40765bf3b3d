"""The package of the standard library's that has `concurrent.futures` in it."""
