//! What else the public types are.

use manyhands_wire::authentication::AuthenticationError;
use manyhands_wire::{
    Address, ConnectError, Connection, Header, Listener, Malformed, Prefix, ReceiveError, SendError,
};

fn is_for_any_thread<T: Send + Sync + std::fmt::Debug + 'static>() {}
fn is_an_error<T: std::error::Error + Send + Sync + 'static>() {}

#[test]
fn all_are_for_any_thread() {
    is_for_any_thread::<Address>();
    is_for_any_thread::<Connection>();
    is_for_any_thread::<Header>();
    is_for_any_thread::<Listener>();
    is_for_any_thread::<Prefix>();
}

#[test]
fn errors_are_errors() {
    is_an_error::<AuthenticationError>();
    is_an_error::<ConnectError>();
    is_an_error::<Malformed>();
    is_an_error::<ReceiveError>();
    is_an_error::<SendError>();
}
