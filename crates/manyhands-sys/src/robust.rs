//! Locks that the kernel releases when their holder dies.
