//! One file per operating system; the `cfg` that chooses is only here.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(not(target_os = "linux"))]
compile_error!("manyhands-sys: Linux is the only operating system so far");
