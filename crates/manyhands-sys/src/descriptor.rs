//! File descriptors: passing them to other processes, polling them, setting their flags.
