//! The trace as a picture for a report.

use std::fmt::Write as _;
use std::io::{self, Write};

use crate::lanes::{Bar, Group, Lane, Lanes, Sort};
use crate::trace::Trace;

const WIDTH: f64 = 1200.0;
const NAMES: f64 = 220.0;
const MARGIN: f64 = 12.0;
const LANE: f64 = 18.0;
const HEAD: f64 = 26.0;
const TOP: f64 = 58.0;

/// Narrower bars are drawn as one with those next to them.
const NARROW: f64 = 0.5;

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#1d2433}\
.title{font-size:16px;font-weight:600}.group{font-weight:600}.small{font-size:11px;fill:#5a6478}\
.lane{fill:#f3f5f9}.task{fill:#3366cc}.failed{fill:#c62f2f}.wait{fill:#e2a63a}.hold{fill:#7a57c2}\
.items{fill:#2f8f6b}.grid{stroke:#dfe3ec}.in{fill:#fff;font-size:10px}";

/// Writes it.
///
/// # Errors
/// Those of writing.
pub fn write(trace: &Trace, out: &mut impl Write) -> io::Result<()> {
    let lanes = Lanes::new(trace);
    let rows: usize = lanes.groups.iter().map(|group| group.lanes.len()).sum();
    let height = TOP + rows as f64 * LANE + lanes.groups.len() as f64 * HEAD + MARGIN;
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         width=\"{WIDTH}\" height=\"{height}\" aria-label=\"Timeline of a program\">\
         <style>{STYLE}</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"
    )?;
    out.write_all(head(&lanes, height).as_bytes())?;
    let mut y = TOP;
    for group in &lanes.groups {
        out.write_all(drawn(&lanes, group, &mut y).as_bytes())?;
    }
    writeln!(out, "</svg>")
}

fn scale(lanes: &Lanes) -> f64 {
    (WIDTH - NAMES - MARGIN) / lanes.length as f64
}

fn head(lanes: &Lanes, height: f64) -> String {
    let mut text = String::new();
    let lost = if lanes.lost == 0 { String::new() } else { format!(", {} lost", lanes.lost) };
    let _ = write!(
        text,
        "<text class=\"title\" x=\"{MARGIN}\" y=\"24\">{} in {}{lost}</text>",
        if lanes.events == 1 { "1 event".to_owned() } else { format!("{} events", lanes.events) },
        time(lanes.length)
    );
    let mut x = WIDTH - 4.0 * 90.0 - MARGIN;
    for sort in [Sort::Task, Sort::Failed, Sort::Wait, Sort::Hold] {
        let name = sort.name();
        let _ = write!(
            text,
            "<rect class=\"{name}\" x=\"{x}\" y=\"14\" width=\"12\" height=\"12\" rx=\"2\"/>\
             <text x=\"{}\" y=\"24\">{name}</text>",
            x + 17.0
        );
        x += 90.0;
    }
    let step = step(lanes.length);
    let mut at = 0;
    while at <= lanes.length {
        let x = NAMES + at as f64 * scale(lanes);
        let _ = write!(
            text,
            "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{:.0}\" y2=\"{:.0}\"/>\
             <text class=\"small\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            TOP - 8.0,
            height - MARGIN,
            x + 2.0,
            TOP - 10.0,
            time(at)
        );
        at += step;
    }
    text
}

/// A round time, of which there are five to ten in so much.
fn step(length: u64) -> u64 {
    let mut power = 1;
    loop {
        if let Some(step) =
            [1, 2, 5].map(|factor| factor * power).iter().find(|&&it| length / it < 10)
        {
            return *step;
        }
        power *= 10;
    }
}

/// Nanoseconds, as people read them.
pub(crate) fn time(nanos: u64) -> String {
    let round = |value: f64| {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    };
    match nanos {
        0 => "0".to_owned(),
        1..1_000 => format!("{nanos} ns"),
        1_000..1_000_000 => format!("{} us", round(nanos as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", round(nanos as f64 / 1e6)),
        _ => format!("{} s", round(nanos as f64 / 1e9)),
    }
}

fn drawn(lanes: &Lanes, group: &Group, y: &mut f64) -> String {
    let mut text = String::new();
    let _ = write!(
        text,
        "<text class=\"group\" x=\"{MARGIN}\" y=\"{:.0}\">{}</text>",
        *y + HEAD - 8.0,
        escaped(&group.name)
    );
    *y += HEAD;
    for lane in &group.lanes {
        let (name, inside) = match lane {
            Lane::Bars { name, bars } => (name, drawn_bars(lanes, bars, *y)),
            Lane::Items { name, items } => (name, drawn_items(lanes, items, *y)),
        };
        let shown: String = name.chars().take(32).collect();
        let _ = write!(
            text,
            "<rect class=\"lane\" x=\"{NAMES}\" y=\"{:.0}\" width=\"{}\" height=\"{}\"/>\
             <text x=\"{}\" y=\"{:.0}\">{}</text>{inside}",
            *y + 1.0,
            WIDTH - NAMES - MARGIN,
            LANE - 2.0,
            MARGIN + 8.0,
            *y + 13.0,
            escaped(&shown)
        );
        *y += LANE;
    }
    text
}

fn drawn_bars(lanes: &Lanes, bars: &[Bar], y: f64) -> String {
    let scale = scale(lanes);
    let mut text = String::new();
    // Waits are within tasks, and drawn over them.
    for sort in [Sort::Task, Sort::Failed, Sort::Hold, Sort::Wait] {
        let mut open: Option<(f64, f64, Option<usize>)> = None;
        let mut draw = |(from, to, title): (f64, f64, Option<usize>)| {
            let width = (to - from).max(NARROW);
            let is_within = sort == Sort::Wait;
            let (top, high) = if is_within { (y + 11.0, 5.0) } else { (y + 2.0, LANE - 4.0) };
            let name = sort.name();
            let _ = write!(
                text,
                "<rect class=\"{name}\" x=\"{from:.1}\" y=\"{top:.0}\" width=\"{width:.1}\" \
                 height=\"{high:.0}\">"
            );
            let title = title.map(|title| lanes.titles[title].as_str());
            let length = time((width / scale) as u64);
            let said = title.map_or_else(|| "several".to_owned(), escaped);
            let _ = write!(text, "<title>{said}, {length}</title></rect>");
            if let Some(title) = title.filter(|title| !is_within && fits(title, width)) {
                let (x, y) = (from + 3.0, y + 13.0);
                let _ = write!(
                    text,
                    "<text class=\"in\" x=\"{x:.1}\" y=\"{y:.0}\">{}</text>",
                    escaped(title)
                );
            }
        };
        for &Bar(begun, length, title, ..) in bars.iter().filter(|bar| bar.3 == sort) {
            let from = NAMES + begun as f64 * scale;
            let to = from + length as f64 * scale;
            open = match open {
                Some((first, last, _)) if to - first < NARROW => Some((first, to.max(last), None)),
                Some(before) => {
                    draw(before);
                    Some((from, to, Some(title)))
                }
                None => Some((from, to, Some(title))),
            };
        }
        if let Some(last) = open {
            draw(last);
        }
    }
    text
}

fn fits(title: &str, width: f64) -> bool {
    title.chars().count() as f64 * 6.0 + 6.0 < width
}

fn drawn_items(lanes: &Lanes, items: &[(u64, u64)], y: f64) -> String {
    let most = items.iter().map(|&(_, items)| items).max().unwrap_or(0).max(1);
    let bottom = y + LANE - 2.0;
    let mut path = format!("M{NAMES:.1} {bottom:.1}");
    let mut column: Option<(i64, f64, u64)> = None;
    let mut level = bottom;
    let mut to = |x: f64, items: u64| {
        let next = bottom - items as f64 / most as f64 * (LANE - 4.0);
        let _ = write!(path, "L{x:.1} {level:.1}L{x:.1} {next:.1}");
        level = next;
    };
    for &(at, items) in items {
        let x = NAMES + at as f64 * scale(lanes);
        // The most of each column, for there may be many more than can be seen.
        let number = (x / NARROW) as i64;
        column = match column {
            Some((known, x, high)) if known == number => Some((known, x, high.max(items))),
            Some((_, before, high)) => {
                to(before, high);
                Some((number, x, items))
            }
            None => Some((number, x, items)),
        };
    }
    if let Some((_, x, high)) = column {
        to(x, high);
    }
    to(WIDTH - MARGIN, 0);
    format!("<path class=\"items\" d=\"{path}Z\"><title>at most {most} items</title></path>")
}

pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::{step, time};

    #[test]
    fn times_are_round() {
        assert_eq!(
            [0, 7, 1_500, 2_000_000, 12_340_000_000].map(time),
            ["0", "7 ns", "1.5 us", "2 ms", "12.34 s"]
        );
        for length in [1, 9, 10, 99, 12_345, 1_000_000_000, 7_654_321_000] {
            let steps = length / step(length);
            assert!((1..10).contains(&steps), "{length}: {steps}");
        }
    }
}
