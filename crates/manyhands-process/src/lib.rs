#![doc = include_str!("../README.md")]

mod child;
mod error;
mod fork;
mod guard;
mod message;
mod newborn;
mod process;
mod reaper;
mod serve;
mod source;
mod spawn;
mod surroundings;
mod transit;
mod zygote;

pub use child::{Child, ExitStatus, Waited};
pub use error::StartError;
pub use fork::{Forked, fork};
pub use guard::{Guard, program_threads};
pub use message::MOST_DESCRIPTORS;
pub use newborn::Born;
pub use process::Process;
pub use reaper::{pause_reaper, prepare_for_forks, resume_reaper, set_death_hook};
pub use serve::{Served, Spare, serve};
pub use spawn::spawn;
pub use surroundings::ignored_signals;
pub use zygote::{Birth, RequestError, Zygote};
