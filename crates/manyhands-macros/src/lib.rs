//! The attribute macro of the crate `manyhands`, which has it as `manyhands::task` and says what it does.

mod task;

use proc_macro::TokenStream;

/// Makes a function one that can be sent to the workers of a pool; see `manyhands::task`.
#[proc_macro_attribute]
pub fn task(arguments: TokenStream, item: TokenStream) -> TokenStream {
    task::expand(&arguments.into(), item.into())
        .unwrap_or_else(|why| why.into_compile_error())
        .into()
}
