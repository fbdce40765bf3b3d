//! What keys do, and how it is drawn.

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Clear, Paragraph, Row as TableRow, Table, TableState};

use crate::picture::Picture;
use crate::table::{self, Row, View};

const HELP: &str = "\
1 2 3 4, Tab     another view
up, down, j, k   another row
Enter            the stack of the thread, or back
s                sort by the next column
r                the other way round
/                show only rows with a text
?                this help
q, Esc, Ctrl-C   end";

/// What is shown, and how.
#[derive(Debug, Default)]
pub struct App {
    picture: Picture,
    view: usize,
    selected: usize,
    /// By which column each view is sorted, if not as it comes.
    sorting: [Option<usize>; 4],
    reverse: [bool; 4],
    filter: String,
    is_filtering: bool,
    has_stack: bool,
    has_help: bool,
    /// Why there is nothing new any more.
    gone: Option<String>,
}

impl App {
    /// Shows another picture from now on.
    pub fn update(&mut self, picture: Picture) {
        self.picture = picture;
    }

    /// There will be no other picture.
    pub fn end(&mut self, reason: String) {
        self.gone = Some(reason);
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows = table::rows(&self.picture, View::ALL[self.view]);
        if !self.filter.is_empty() {
            table::filter(&mut rows, &self.filter);
        }
        if let Some(column) = self.sorting[self.view] {
            table::sort(&mut rows, column, self.reverse[self.view]);
        } else if self.reverse[self.view] {
            rows.reverse();
        }
        rows
    }

    /// Does what a key says; false if that is to end.
    pub fn key(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return false;
        }
        if self.is_filtering {
            match key.code {
                KeyCode::Enter => self.is_filtering = false,
                KeyCode::Esc => {
                    self.is_filtering = false;
                    self.filter.clear();
                }
                KeyCode::Backspace => {
                    self.filter.pop();
                }
                KeyCode::Char(letter) => self.filter.push(letter),
                _ => {}
            }
            self.selected = 0;
            return true;
        }
        if self.has_help {
            self.has_help = false;
            return true;
        }
        match key.code {
            KeyCode::Esc if self.has_stack => self.has_stack = false,
            KeyCode::Char('q') | KeyCode::Esc => return false,
            KeyCode::Char('?') => self.has_help = true,
            KeyCode::Char('/') => {
                self.is_filtering = true;
                self.filter.clear();
            }
            KeyCode::Char('s') => {
                let columns = View::ALL[self.view].columns().len();
                let next = self.sorting[self.view].map_or(0, |column| column + 1);
                self.sorting[self.view] = (next < columns).then_some(next);
            }
            KeyCode::Char('r') => self.reverse[self.view] ^= true,
            KeyCode::Char(digit @ '1'..='4') => self.show(digit as usize - '1' as usize),
            KeyCode::Tab => self.show((self.view + 1) % View::ALL.len()),
            KeyCode::BackTab => self.show((self.view + View::ALL.len() - 1) % View::ALL.len()),
            KeyCode::Down | KeyCode::Char('j') => {
                self.selected = (self.selected + 1).min(self.rows().len().saturating_sub(1));
            }
            KeyCode::Up | KeyCode::Char('k') => self.selected = self.selected.saturating_sub(1),
            KeyCode::Enter => self.has_stack ^= true,
            _ => {}
        }
        true
    }

    fn show(&mut self, view: usize) {
        self.view = view;
        self.selected = 0;
        self.has_stack = false;
    }

    /// Draws all of it.
    pub fn draw(&self, frame: &mut Frame<'_>) {
        let [top, middle, bottom] =
            Layout::vertical([Constraint::Length(1), Constraint::Fill(1), Constraint::Length(1)])
                .areas(frame.area());
        frame.render_widget(Paragraph::new(self.titles()), top);
        let rows = self.rows();
        let selected = self.selected.min(rows.len().saturating_sub(1));
        if self.has_help {
            frame.render_widget(Clear, middle);
            frame.render_widget(Paragraph::new(HELP), middle);
        } else if self.has_stack {
            frame.render_widget(Paragraph::new(stack(rows.get(selected))), middle);
        } else {
            self.draw_table(frame, middle, &rows, selected);
        }
        frame.render_widget(Paragraph::new(self.status(rows.len())), bottom);
    }

    fn titles(&self) -> Line<'static> {
        let title = |(number, view): (usize, &View)| {
            let text = format!(" {} {} ", number + 1, view.title());
            let style = Style::default();
            let reversed = style.add_modifier(Modifier::REVERSED);
            ratatui::text::Span::styled(text, if number == self.view { reversed } else { style })
        };
        Line::from_iter(View::ALL.iter().enumerate().map(title))
    }

    fn status(&self, rows: usize) -> String {
        if self.is_filtering || !self.filter.is_empty() {
            return format!("/{} ({rows} rows)", self.filter);
        }
        match &self.gone {
            Some(reason) => format!("{reason}; q ends"),
            None => "? help  q end".to_owned(),
        }
    }

    fn draw_table(&self, frame: &mut Frame<'_>, area: Rect, rows: &[Row], selected: usize) {
        let view = View::ALL[self.view];
        let widths = table::widths(view, rows);
        let last = widths.len() - 1;
        let constraints = widths.iter().enumerate().map(|(column, &width)| {
            let width = u16::try_from(width).unwrap_or(u16::MAX);
            if column == last {
                Constraint::Min(width.min(8))
            } else {
                Constraint::Max(width.min(40))
            }
        });
        let heads = view.columns().iter().enumerate().map(|(column, (head, is_number))| {
            let style = if self.sorting[self.view] == Some(column) {
                Style::default().add_modifier(Modifier::BOLD | Modifier::UNDERLINED)
            } else {
                Style::default().add_modifier(Modifier::BOLD)
            };
            aligned(head, *is_number).style(style)
        });
        let body = rows.iter().map(|row| {
            let cells = row.cells.iter().zip(view.columns());
            TableRow::new(cells.map(|(cell, (_, is_number))| aligned(&cell.text, *is_number)))
        });
        let table = Table::new(body, constraints)
            .header(TableRow::new(heads))
            .row_highlight_style(Style::default().add_modifier(Modifier::REVERSED));
        let mut state = TableState::default().with_selected((!rows.is_empty()).then_some(selected));
        frame.render_stateful_widget(table, area, &mut state);
    }
}

fn aligned(text: &str, is_number: bool) -> Line<'static> {
    let line = Line::from(text.to_owned());
    if is_number { line.right_aligned() } else { line }
}

fn stack(row: Option<&Row>) -> String {
    let Some(row) = row.filter(|row| !row.stack.is_empty()) else {
        return "There is no stack to show here: choose a thread in the first view.".to_owned();
    };
    let call = |call: &manyhands_watch::state::Frame| {
        format!(
            "File \"{}\", line {}, in {}\n  {}\n",
            call.file, call.line, call.function, call.text
        )
    };
    row.stack.iter().rev().map(call).collect()
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::picture::{LockSeen, PoolSeen, ProcessSeen, QueueSeen, ThreadSeen};

    fn picture() -> Picture {
        let call = manyhands_watch::state::Frame {
            file: "tea.py".to_owned(),
            line: 7,
            function: "brew".to_owned(),
            text: "pot.wait()".to_owned(),
        };
        let thread = |name: &str, seconds| ThreadSeen {
            thread: 8,
            name: name.to_owned(),
            waits_for: Some("pot (Event)".to_owned()),
            seconds: Some(seconds),
            stack: vec![call.clone()],
            ..ThreadSeen::default()
        };
        Picture {
            processes: vec![ProcessSeen {
                pid: 7,
                command: "python tea.py".to_owned(),
                cpu: Some(12.5),
                memory: 3 << 20,
                threads: vec![thread("one", 1.0), thread("two\x1b[2J", 75.0)],
                ..ProcessSeen::default()
            }],
            pools: vec![PoolSeen {
                pid: 7,
                kind: "Pool".to_owned(),
                done: 41,
                ..Default::default()
            }],
            queues: vec![QueueSeen {
                name: "jobs".to_owned(),
                size: Some(3),
                ..Default::default()
            }],
            locks: vec![LockSeen { name: "pot".to_owned(), waiters: 2, ..Default::default() }],
        }
    }

    fn drawn(app: &App, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal.draw(|frame| app.draw(frame)).unwrap();
        terminal.backend().to_string()
    }

    fn press(app: &mut App, keys: &str) -> bool {
        keys.chars().all(|key| {
            let code = match key {
                '\n' => KeyCode::Enter,
                '\t' => KeyCode::Tab,
                key => KeyCode::Char(key),
            };
            app.key(KeyEvent::new(code, KeyModifiers::NONE))
        })
    }

    #[test]
    fn each_view_has_its_rows() {
        let mut app = App::default();
        app.update(picture());
        for (keys, words) in [
            ("", ["python tea.py", "12.5", "3.0M", "1m15s", "pot (Event)"].as_slice()),
            ("\t", &["Pool", "41"]),
            ("3", &["jobs", "ITEMS"]),
            ("4", &["pot", "HELD BY"]),
        ] {
            press(&mut app, keys);
            let screen = drawn(&app, 100, 12);
            for word in words {
                assert!(screen.contains(word), "{word} is not in {screen}");
            }
        }
    }

    #[test]
    fn what_would_move_the_cursor_is_not_shown() {
        let mut app = App::default();
        app.update(picture());
        assert!(drawn(&app, 100, 12).contains("two?[2J"));
    }

    #[test]
    fn rows_are_chosen_sorted_and_filtered() {
        let mut app = App::default();
        app.update(picture());
        press(&mut app, "jj\n");
        assert!(drawn(&app, 100, 12).contains("line 7, in brew"));
        press(&mut app, "\n/two\n");
        let screen = drawn(&app, 100, 12);
        assert!(screen.contains("1m15s"));
        assert!(!screen.contains("python tea.py"));
        assert!(screen.contains("/two (1 rows)"));
        press(&mut app, "/");
        app.key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE));
        press(&mut app, "sssss"); // by the time waited
        let screen = drawn(&app, 100, 12);
        assert!(screen.find("1m15s").unwrap() < screen.find("1.0s").unwrap(), "{screen}");
        press(&mut app, "r");
        let screen = drawn(&app, 100, 12);
        assert!(screen.find("1m15s").unwrap() > screen.find("1.0s").unwrap(), "{screen}");
    }

    #[test]
    fn small_screens_and_nothing_to_show() {
        let mut app = App::default();
        for _ in 0..2 {
            for (width, height) in [(40, 10), (20, 3), (1, 1)] {
                for keys in ["1", "2", "3", "4", "?", " ", "\n", "\n"] {
                    press(&mut app, keys);
                    drawn(&app, width, height);
                }
            }
            app.update(picture());
        }
        app.end("process 7 is gone".to_owned());
        assert!(drawn(&app, 60, 5).contains("process 7 is gone; q ends"));
    }

    #[test]
    fn it_ends() {
        let mut app = App::default();
        assert!(!press(&mut app, "q"));
        assert!(!app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
        press(&mut app, "?");
        assert!(press(&mut app, "q"), "that leaves the help only");
        press(&mut app, "/q");
        assert!(!app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)));
    }
}
