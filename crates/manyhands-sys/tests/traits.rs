//! What else the public types are.

use std::fmt::Debug;

use manyhands_sys::futex::Sleep;
use manyhands_sys::thread::ThreadId;
use manyhands_sys::time::Deadline;

fn is_plain_data<T: Copy + Eq + Debug + Send + Sync>() {}

#[test]
fn all_are_plain_data_for_any_thread() {
    is_plain_data::<Sleep>();
    is_plain_data::<ThreadId>();
    is_plain_data::<Deadline>();
}
