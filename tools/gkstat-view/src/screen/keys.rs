//! What each key does.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::{Pane, Sort, View};

/// Every key, for the help.
pub(super) const KEYS: [(&str, &str); 10] = [
    ("q, Ctrl-C", "leave"),
    ("s", "sort by the next: qps, errors, p50, p99, name"),
    ("r", "the other way round"),
    ("/", "show only what holds a text; Enter ends typing, Esc takes it away"),
    ("p, Space", "pause, go on"),
    ("Tab, 1-5", "overview, cores, services, endpoints, reasons"),
    ("↑ ↓ PgUp PgDn", "scroll"),
    ("+ -", "look more or less often"),
    ("? h", "this help"),
    ("Esc", "back to the overview without a filter"),
];

const PAGE: usize = 10;
const INTERVALS_MS: [u64; 6] = [200, 500, 1_000, 2_000, 5_000, 10_000];

impl View {
    /// True when that was the last key.
    pub(super) fn press(&mut self, key: KeyEvent) -> bool {
        if key.kind == KeyEventKind::Release {
            return false;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return key.code == KeyCode::Char('c');
        }
        if self.typing {
            self.type_filter(key.code);
            return false;
        }
        if self.help {
            self.help = false;
            return key.code == KeyCode::Char('q');
        }
        match key.code {
            KeyCode::Char('q') => return true,
            KeyCode::Char('s') => self.next_sort(),
            KeyCode::Char('r') => self.reversed = !self.reversed,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char('p' | ' ') => self.paused = !self.paused,
            KeyCode::Char('?' | 'h') => self.help = true,
            KeyCode::Char('+') => self.change_interval(false),
            KeyCode::Char('-') => self.change_interval(true),
            KeyCode::Tab => self.show(self.position() + 1),
            KeyCode::BackTab => self.show(self.position() + Pane::ALL.len() - 1),
            KeyCode::Char(digit @ '1'..='5') => self.show(digit as usize - '1' as usize),
            KeyCode::Down => self.scroll += 1,
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::PageDown => self.scroll += PAGE,
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::Home => self.scroll = 0,
            KeyCode::Esc => {
                self.filter.clear();
                self.show(0);
            }
            _ => {}
        }
        false
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => drop(self.filter.pop()),
            KeyCode::Char(letter) => self.filter.push(letter),
            _ => {}
        }
        self.scroll = 0;
    }

    fn next_sort(&mut self) {
        let at = Sort::ALL.iter().position(|(sort, _)| *sort == self.sort).unwrap_or(0);
        self.sort = Sort::ALL[(at + 1) % Sort::ALL.len()].0;
    }

    fn position(&self) -> usize {
        Pane::ALL.iter().position(|pane| *pane == self.pane).unwrap_or(0)
    }

    fn show(&mut self, pane: usize) {
        self.pane = Pane::ALL[pane % Pane::ALL.len()];
        self.scroll = 0;
    }

    fn change_interval(&mut self, longer: bool) {
        let now_ms = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let next = match longer {
            true => INTERVALS_MS.into_iter().find(|ms| *ms > now_ms),
            false => INTERVALS_MS.into_iter().rev().find(|ms| *ms < now_ms),
        };
        if let Some(ms) = next {
            self.interval = Duration::from_millis(ms);
        }
    }
}
