//! The trace as a page that needs nothing else: no network, no other file.

use std::io::{self, Write};

use crate::lanes::Lanes;
use crate::trace::Trace;

const PAGE: &str = include_str!("page.html");

/// Where the page has its data.
const DATA: &str = "\"DATA\"";

/// Writes it.
///
/// # Errors
/// Those of writing.
pub fn write(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let (head, tail) = PAGE.split_once(DATA).expect("the page has a place for its data");
    out.write_all(head.as_bytes())?;
    // No text may end the script that it is in.
    let data = serde_json::to_string(&Lanes::new(trace))?.replace('<', "\\u003c");
    out.write_all(data.as_bytes())?;
    out.write_all(tail.as_bytes())
}
