"""Runs the interpreter's own tests against replacements of modules of its standard library."""
