//! What workers do.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use manyhands::Pool;
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

#[manyhands::task]
pub fn double(number: u64) -> u64 {
    2 * number
}

#[manyhands::task]
pub fn pid() -> u32 {
    std::process::id()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Shape {
    Circle { radius: f64 },
    Polygon(Vec<(f64, f64)>),
}

/// Arguments of all sorts, some of them taken apart.
#[manyhands::task]
pub(crate) fn describe(
    (x, y): (i8, i8),
    mut shapes: Vec<Shape>,
    name: Option<String>,
    _: (),
) -> Result<(i16, Vec<Shape>), String> {
    shapes.reverse();
    match name {
        Some(_) => Ok((i16::from(x) + i16::from(y), shapes)),
        None => Err("it has no name".to_owned()),
    }
}

#[manyhands::task]
pub fn nothing(_first: u8, _second: u8) {}

#[manyhands::task]
pub fn reversed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.reverse();
    bytes
}

#[manyhands::task]
pub fn fail(message: String) -> u64 {
    // As panic! does, but says nothing to the terminal.
    std::panic::resume_unwind(Box::new(message));
}

/// Waits at a gate.
#[manyhands::task]
pub fn wait_at(gate: String) -> String {
    fs::File::open(&gate).unwrap();
    gate
}

/// Says that it has begun, and waits.
#[manyhands::task]
pub fn wait_at_two(first: String, second: String) -> String {
    wait_at(first);
    wait_at(second)
}

/// Notes that it was called.
#[manyhands::task]
pub fn note(number: u32, file: String) -> u32 {
    let mut file = OpenOptions::new().append(true).create(true).open(file).unwrap();
    file.write_all(&number.to_ne_bytes()).unwrap();
    number
}

/// Ends its process: by a signal, or with minus an exit code; not at all by 0.
#[manyhands::task]
pub fn end(how: i32) -> i32 {
    match how {
        0 => how,
        ..0 => std::process::exit(-how),
        _ => {
            kill_process(getpid(), Signal::from_named_raw(how).unwrap()).unwrap();
            how
        }
    }
}

/// Dies unless it was called so often before, and says how often it was called.
#[manyhands::task]
pub fn die_first(times: u64, file: String) -> u64 {
    note(0, file.clone());
    let calls = fs::metadata(file).unwrap().len() / 4;
    if calls <= times {
        let _ = kill_process(getpid(), Signal::KILL);
    }
    calls
}

/// Named as what else is there.
pub mod names {
    #[manyhands::task]
    pub fn task(task: u8) -> u8 {
        task + 1
    }

    #[manyhands::task]
    pub fn buffer(bytes: u8, buffer: u8, argument0: u8) -> u8 {
        bytes + buffer + argument0
    }

    #[manyhands::task]
    pub fn r#match(r#type: u8) -> u8 {
        r#type
    }
}

#[manyhands::task]
pub fn with_a_pool_of_its_own(numbers: Vec<u64>) -> Vec<u64> {
    let pool = Pool::builder().workers(2).build().unwrap();
    pool.map(double::task, numbers).unwrap()
}

/// What can be written down, or read, or not.
#[derive(Debug, PartialEq)]
pub struct Fragile {
    pub writable: bool,
    pub readable: bool,
}

impl Serialize for Fragile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.writable {
            serializer.serialize_bool(self.readable)
        } else {
            Err(ser::Error::custom("it breaks"))
        }
    }
}

impl<'de> Deserialize<'de> for Fragile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fragile, D::Error> {
        match bool::deserialize(deserializer)? {
            true => Ok(Fragile { writable: true, readable: true }),
            false => Err(de::Error::custom("it broke")),
        }
    }
}

#[manyhands::task]
pub fn accept(_: Fragile) {}

#[manyhands::task]
pub fn give(writable: bool, readable: bool) -> Fragile {
    Fragile { writable, readable }
}
