//! clone(2), waitid(2), pidfd_open(2), prctl(2).
