//! The Mandelbrot set, line by line, by as many processes as there are processors. One of the lines kills
//! the process that computes it: only that line is missing, and is asked for again.
//!
//! `cargo run --release -p manyhands --example pool`

use std::error::Error;

use manyhands::Pool;
use manyhands::pool::{ExitStatus, PoolError};
use rustix::process::{Signal, getpid, kill_process};

const WIDTH: u32 = 100;
const HEIGHT: u32 = 36;
const SHADES: &[u8] = b" .:-=+*#%@";

/// The line that is cursed.
const CURSED: u32 = 13;

/// After how many steps a point is known to be outside of the set; all of them if it is not.
fn steps(x: f64, y: f64, most: u32) -> u32 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for step in 0..most {
        if real * real + imaginary * imaginary > 4.0 {
            return step;
        }
        (real, imaginary) = (real * real - imaginary * imaginary + x, 2.0 * real * imaginary + y);
    }
    most
}

/// A line of the picture.
#[manyhands::task]
fn line(number: u32, cursed: bool) -> String {
    if cursed {
        let _ = kill_process(getpid(), Signal::KILL);
    }
    let y = f64::from(number) / f64::from(HEIGHT) * 2.4 - 1.2;
    let shade = |column: u32| {
        let x = f64::from(column) / f64::from(WIDTH) * 3.2 - 2.2;
        let most = 20_000;
        let shade = f64::from(steps(x, y, most)).ln() / f64::from(most).ln();
        char::from(SHADES[(shade * (SHADES.len() - 1) as f64) as usize])
    };
    (0..WIDTH).map(shade).collect()
}

fn main() -> Result<(), Box<dyn Error>> {
    manyhands::init(); // The workers are this program, too; they begin here.

    let pool = Pool::new()?;
    let lines = pool.imap(|number| line::task(number, number == CURSED), 0..HEIGHT);
    let mut lost = Vec::new();
    for (number, line) in (0..).zip(lines) {
        match line {
            Ok(line) => println!("{line}"),
            Err(PoolError::WorkerDied { pid, status, .. }) => {
                assert_eq!(status, ExitStatus::Killed(9));
                println!("    (process {pid} was killed)");
                lost.push(number);
            }
            Err(error) => return Err(error.into()),
        }
    }
    assert_eq!(lost, [CURSED], "another line is missing");
    let again = pool.map(|number| line::task(number, false), lost)?;
    println!("Line {CURSED}, once more, by who has taken its place:\n{}", again[0]);
    pool.join();
    Ok(())
}
