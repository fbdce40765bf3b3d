//! Whether a process that was once there still is.
