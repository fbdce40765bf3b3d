//! A program in which two tasks have one name.

use manyhands::pool::{BuildError, Kind, Pool};

fn here() -> u32 {
    #[manyhands::task]
    fn number() -> u32 {
        1
    }

    number()
}

fn there() -> u32 {
    #[manyhands::task]
    fn number() -> u32 {
        2
    }

    number()
}

fn main() {
    manyhands::init();
    assert_eq!((here(), there()), (1, 2));
    let Err(error) = Pool::new() else { panic!("who is called when one is called?") };
    assert!(error.to_string().contains("pool_names::number"), "{error}");
    assert!(matches!(error, BuildError::DuplicateTask("pool_names::number")));
    // Threads need no names.
    assert!(Pool::builder().kind(Kind::Threads).build().is_ok());
}
