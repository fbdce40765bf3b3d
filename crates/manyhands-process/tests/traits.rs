//! Which types may be used from several threads.

use manyhands_process::{Born, Child, ExitStatus, Guard, Process, Spare, StartError, Zygote};

fn is_shared<T: Send + Sync>() {}

#[test]
fn all_types_may_be_used_from_any_thread() {
    is_shared::<Born>();
    is_shared::<Child>();
    is_shared::<ExitStatus>();
    is_shared::<Guard>();
    is_shared::<Process>();
    is_shared::<Spare>();
    is_shared::<StartError>();
    is_shared::<Zygote>();
}
