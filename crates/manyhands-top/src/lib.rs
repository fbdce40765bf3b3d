//! A live view of a Manyhands program: its processes and threads, pools, queues and locks.
//!
//! The processes are asked, as `manyhands why` asks them, once in an interval; they go on meanwhile.
//! [`run`] shows what they say in a terminal, as plain tables, or as JSON.

mod app;
pub mod picture;
pub mod table;
pub mod usage;

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use manyhands_watch::client;
use manyhands_watch::state::Process;
use ratatui::crossterm::event::{self, Event, KeyEventKind};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::app::App;
use crate::picture::{Look, Picture};

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// On the whole screen, with keys; as tables where there is no terminal for that.
    Screen,
    /// As JSON, an object a line.
    Json,
}

/// What is to be shown, and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// A process of the program.
    pub pid: u32,
    /// In which form.
    pub form: Form,
    /// How long from one look to the next.
    pub interval: Duration,
    /// Whether to look only once; rates are then left out, or over the whole life of a pool.
    pub once: bool,
}

/// How often is looked whether the caller wants to go on.
const TURN: Duration = Duration::from_millis(100);

/// Shows a program until the user has enough, the program is gone, or `goes_on` says no.
///
/// # Errors
/// The process cannot be asked at the first look; the output cannot be written.
pub fn run(options: Options, goes_on: &dyn Fn() -> bool) -> Result<(), String> {
    let first = client::tree(options.pid, true).map_err(|error| error.to_string())?;
    let is_terminal = io::stdout().is_terminal() && io::stdin().is_terminal();
    let is_dumb = std::env::var("TERM").is_ok_and(|terminal| terminal == "dumb");
    if options.form == Form::Screen && is_terminal && !is_dumb && !options.once {
        return on_screen(options, first, goes_on).map_err(|error| error.to_string());
    }
    printed(options, first, goes_on).map_err(|error| error.to_string())
}

fn printed(options: Options, first: Vec<Process>, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
    let mut before: Option<Look> = None;
    let mut processes = first;
    loop {
        let look = Look::of(processes);
        let picture = Picture::new(before.as_ref(), &look);
        let text = match options.form {
            Form::Json => serde_json::to_string(&picture)? + "\n",
            Form::Screen => table::plain(&picture),
        };
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        drop(out);
        let next = look.at + options.interval;
        before = Some(look);
        while Instant::now() < next {
            if options.once || !goes_on() {
                return Ok(());
            }
            std::thread::sleep(TURN.min(next.saturating_duration_since(Instant::now())));
        }
        match client::tree(options.pid, true) {
            Ok(found) => processes = found,
            // It has ended, and there is nothing more to tell.
            Err(client::Error::Gone(_)) => return Ok(()),
            Err(error) => return Err(io::Error::other(error.to_string())),
        }
    }
}

fn on_screen(options: Options, first: Vec<Process>, goes_on: &dyn Fn() -> bool) -> io::Result<()> {
    let looks = looks(options, first);
    let mut terminal = ratatui::try_init()?;
    let shown = (|| {
        let mut app = App::default();
        let mut before: Option<Look> = None;
        let mut is_over = false;
        while goes_on() {
            while !is_over {
                match looks.try_recv() {
                    Ok(Ok(look)) => {
                        app.update(Picture::new(before.as_ref(), &look));
                        before = Some(look);
                    }
                    Ok(Err(reason)) => {
                        app.end(reason);
                        is_over = true;
                    }
                    Err(_) => break,
                }
            }
            terminal.draw(|frame| app.draw(frame))?;
            let input = input(TURN);
            if input == Input::HungUp {
                break;
            }
            while input == Input::Something && event::poll(Duration::ZERO)? {
                if let Event::Key(key) = event::read()?
                    && key.kind == KeyEventKind::Press
                    && !app.key(key)
                {
                    return Ok(());
                }
            }
        }
        Ok(())
    })();
    if input(Duration::ZERO) == Input::HungUp {
        // There is nothing to restore, and nowhere to say so, as it would when dropped.
        std::mem::forget(terminal);
        return Ok(());
    }
    ratatui::try_restore()?;
    shown
}

/// What there is to read from the terminal.
#[derive(PartialEq)]
enum Input {
    Nothing,
    Something,
    /// The terminal is gone: from then on there would always be something to read, and never a key.
    HungUp,
}

fn input(patience: Duration) -> Input {
    let stdin = io::stdin();
    let mut ready = [PollFd::new(&stdin, PollFlags::IN)];
    let patience = Timespec::try_from(patience).ok();
    if !poll(&mut ready, patience.as_ref()).is_ok_and(|count| count > 0) {
        return Input::Nothing;
    }
    if ready[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) {
        return Input::HungUp;
    }
    Input::Something
}

/// A thread that looks, so that keys are never waited for.
fn looks(options: Options, first: Vec<Process>) -> Receiver<Result<Look, String>> {
    let (give, take) = mpsc::channel();
    std::thread::spawn(move || {
        let mut found = Ok(first);
        loop {
            let look = match found {
                Ok(processes) => Ok(Look::of(processes)),
                Err(client::Error::Gone(pid)) => Err(format!("process {pid} has ended")),
                Err(error) => Err(error.to_string()),
            };
            let is_last = look.is_err();
            if give.send(look).is_err() || is_last {
                return;
            }
            std::thread::sleep(options.interval);
            found = client::tree(options.pid, true);
        }
    });
    take
}
