//! The views as tables: rows of cells that can be sorted and filtered.

use std::cmp::Ordering;

use manyhands_watch::state::Frame;

use crate::picture::Picture;

/// Which part of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Processes and threads.
    Processes,
    /// Pools and executors.
    Pools,
    /// Queues.
    Queues,
    /// Everything else that makes threads wait.
    Locks,
}

impl View {
    /// All of them, in their order.
    pub const ALL: [View; 4] = [View::Processes, View::Pools, View::Queues, View::Locks];

    /// What it is called.
    pub fn title(self) -> &'static str {
        match self {
            View::Processes => "processes",
            View::Pools => "pools",
            View::Queues => "queues",
            View::Locks => "locks",
        }
    }

    /// The columns: their heads, and whether they hold numbers.
    pub fn columns(self) -> &'static [(&'static str, bool)] {
        match self {
            View::Processes => &[
                ("PID", true),
                ("THREAD", true),
                ("CPU%", true),
                ("MEMORY", true),
                ("WAITED", true),
                ("NAME", false),
                ("WAITS FOR", false),
            ],
            View::Pools => &[
                ("PID", true),
                ("POOL", false),
                ("WORKERS", true),
                ("DONE", true),
                ("RUNNING", true),
                ("WAITING", true),
                ("FAILED", true),
                ("RATE/s", true),
                ("LEFT", true),
            ],
            View::Queues => &[
                ("QUEUE", false),
                ("ITEMS", true),
                ("MOST", true),
                ("IN/s", true),
                ("OUT/s", true),
                ("WAIT", true),
                ("LONGEST", true),
                ("PIDS", false),
            ],
            View::Locks => &[
                ("LOCK", false),
                ("WAIT", true),
                ("LONGEST", true),
                ("WAITS", true),
                ("HELD BY", false),
                ("PIDS", false),
            ],
        }
    }
}

/// One cell.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// What is shown.
    pub text: String,
    /// By what it is sorted, if by a number.
    pub value: Option<f64>,
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its cells, one a column.
    pub cells: Vec<Cell>,
    /// The stack of the thread that it tells of.
    pub stack: Vec<Frame>,
}

fn text(text: impl Into<String>) -> Cell {
    // A name may hold what would move the cursor.
    let text: String =
        text.into().chars().map(|one| if one.is_control() { '?' } else { one }).collect();
    Cell { text, value: None }
}

fn count(value: u64) -> Cell {
    Cell { text: value.to_string(), value: Some(value as f64) }
}

fn maybe(value: Option<f64>, show: impl Fn(f64) -> String) -> Cell {
    Cell { text: value.map_or_else(|| "-".to_owned(), show), value }
}

fn tenths(value: Option<f64>) -> Cell {
    maybe(value, |value| format!("{value:.1}"))
}

fn lasting(seconds: Option<f64>) -> Cell {
    maybe(seconds, |seconds| match seconds {
        ..60.0 => format!("{seconds:.1}s"),
        60.0..3600.0 => format!("{:.0}m{:02.0}s", (seconds / 60.0).floor(), seconds % 60.0),
        _ => format!("{:.0}h{:02.0}m", (seconds / 3600.0).floor(), seconds % 3600.0 / 60.0),
    })
}

fn bytes(bytes: u64) -> Cell {
    let mebibytes = bytes as f64 / f64::from(1 << 20);
    let text = if bytes == 0 { String::new() } else { format!("{mebibytes:.1}M") };
    Cell { text, value: Some(bytes as f64) }
}

fn numbers(pids: &[u32]) -> Cell {
    text(pids.iter().map(u32::to_string).collect::<Vec<_>>().join(" "))
}

fn called(name: &str, kind: &str) -> Cell {
    text(if name.is_empty() { kind.to_owned() } else { format!("{name} ({kind})") })
}

fn row(cells: Vec<Cell>) -> Row {
    Row { cells, stack: Vec::new() }
}

/// The rows of a view, in the order of the picture.
pub fn rows(picture: &Picture, view: View) -> Vec<Row> {
    match view {
        View::Processes => processes(picture),
        View::Pools => {
            let pool = |it: &crate::picture::PoolSeen| {
                row(vec![
                    count(it.pid.into()),
                    text(&it.kind),
                    count(it.workers.into()),
                    count(it.done),
                    count(it.running),
                    count(it.waiting),
                    count(it.failed),
                    tenths(it.rate),
                    if it.ended { text("ended") } else { lasting(it.left) },
                ])
            };
            picture.pools.iter().map(pool).collect()
        }
        View::Queues => {
            let queue = |it: &crate::picture::QueueSeen| {
                row(vec![
                    called(&it.name, &it.kind),
                    maybe(it.size.map(|size| size as f64), |size| format!("{size:.0}")),
                    maybe(it.capacity.map(|most| most as f64), |most| format!("{most:.0}")),
                    tenths(it.put_rate),
                    tenths(it.take_rate),
                    count(it.waiters as u64),
                    lasting(it.longest),
                    numbers(&it.pids),
                ])
            };
            picture.queues.iter().map(queue).collect()
        }
        View::Locks => {
            let lock = |it: &crate::picture::LockSeen| {
                row(vec![
                    called(&it.name, &it.kind),
                    count(it.waiters as u64),
                    lasting(it.longest),
                    count(it.waits),
                    text(it.holder.clone().unwrap_or_default()),
                    numbers(&it.pids),
                ])
            };
            picture.locks.iter().map(lock).collect()
        }
    }
}

fn processes(picture: &Picture) -> Vec<Row> {
    let mut rows = Vec::new();
    for process in &picture.processes {
        let state = process.silent.clone().unwrap_or_default();
        rows.push(row(vec![
            count(process.pid.into()),
            text(""),
            tenths(process.cpu),
            bytes(process.memory),
            text(""),
            text(&process.command),
            text(state),
        ]));
        for thread in &process.threads {
            let name = if thread.greenlet == 0 { "  " } else { "    " }.to_owned() + &thread.name;
            rows.push(Row {
                cells: vec![
                    count(process.pid.into()),
                    count(thread.thread.into()),
                    tenths(thread.cpu),
                    bytes(0),
                    lasting(thread.seconds),
                    text(name),
                    text(thread.waits_for.clone().unwrap_or_default()),
                ],
                stack: thread.stack.clone(),
            });
        }
    }
    rows
}

/// Keeps the rows in which a text is, in upper or lower case.
pub fn filter(rows: &mut Vec<Row>, wanted: &str) {
    let wanted = wanted.to_lowercase();
    rows.retain(|row| row.cells.iter().any(|cell| cell.text.to_lowercase().contains(&wanted)));
}

/// Sorts by a column, numbers from the largest on.
pub fn sort(rows: &mut [Row], column: usize, reverse: bool) {
    rows.sort_by(|one, other| {
        let (one, other) = (&one.cells[column], &other.cells[column]);
        let order = match (one.value, other.value) {
            (Some(one), Some(other)) => other.total_cmp(&one),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => one.text.cmp(&other.text),
        };
        if reverse { order.reverse() } else { order }
    });
}

/// The widths of the columns that hold all cells.
pub fn widths(view: View, rows: &[Row]) -> Vec<usize> {
    let mut widths: Vec<usize> =
        view.columns().iter().map(|(head, _)| head.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.text.chars().count());
        }
    }
    widths
}

/// All views as text, one table below the other; those without rows are left out.
pub fn plain(picture: &Picture) -> String {
    let mut out = String::new();
    for view in View::ALL {
        let rows = rows(picture, view);
        if rows.is_empty() {
            continue;
        }
        let widths = widths(view, &rows);
        let heads: Vec<&str> = view.columns().iter().map(|(head, _)| *head).collect();
        out += &line(view, &widths, &heads);
        for row in &rows {
            let cells: Vec<&str> = row.cells.iter().map(|cell| cell.text.as_str()).collect();
            out += &line(view, &widths, &cells);
        }
        out.push('\n');
    }
    out
}

fn line(view: View, widths: &[usize], cells: &[&str]) -> String {
    let mut line = String::new();
    for ((&width, cell), (_, is_number)) in widths.iter().zip(cells).zip(view.columns()) {
        if *is_number {
            line += &format!("{cell:>width$}  ");
        } else {
            line += &format!("{cell:<width$}  ");
        }
    }
    line.trim_end().to_owned() + "\n"
}
