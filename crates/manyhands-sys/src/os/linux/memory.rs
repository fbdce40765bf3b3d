//! memfd_create(2), mmap(2), fallocate(2), get_robust_list(2), /proc.
