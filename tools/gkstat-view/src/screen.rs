//! The live screen: one look an interval, keys in between.
//!
//! In scope: the loop and what the keys change. Out of scope: how panes are drawn (`draw`, `panes`).

mod draw;
mod keys;
mod panes;

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

use crate::frame::{Endpoint, Frame, Service, Watch};

/// How many intervals the sparklines remember.
const HISTORY: usize = 240;

/// What fills the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pane {
    /// Everything, a little of each.
    Overview,
    Cores,
    Services,
    Endpoints,
    Reasons,
}

impl Pane {
    const ALL: [Self; 5] = [Self::Overview, Self::Cores, Self::Services, Self::Endpoints, Self::Reasons];
}

/// What services and endpoints are sorted by, the largest first; names from the front.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Qps,
    Errors,
    P50,
    P99,
    Name,
}

impl Sort {
    const ALL: [(Self, &'static str); 5] =
        [(Self::Qps, "qps"), (Self::Errors, "errors"), (Self::P50, "p50"), (Self::P99, "p99"), (Self::Name, "name")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(sort, _)| *sort == self).map_or("", |(_, name)| name)
    }
}

/// What the keys have made of the screen.
#[derive(Clone, Debug)]
struct View {
    pane: Pane,
    sort: Sort,
    reversed: bool,
    filter: String,
    /// The filter is being typed.
    typing: bool,
    paused: bool,
    help: bool,
    /// Lines above the first one shown.
    scroll: usize,
    interval: Duration,
}

/// One core's requests per second, the last one last.
type History = VecDeque<f64>;

/// Runs until it is left.
pub(crate) fn run(watch: Watch, interval: Duration) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let outcome = turn(&mut terminal, watch, View::new(interval));
    ratatui::restore();
    outcome
}

fn turn(terminal: &mut DefaultTerminal, mut watch: Watch, mut view: View) -> io::Result<()> {
    // The first numbers come soon, whatever the interval.
    let mut due = Instant::now() + view.interval.min(Duration::from_millis(500));
    let mut shown: Option<Frame> = None;
    let mut histories: Vec<History> = Vec::new();
    loop {
        terminal.draw(|screen| draw::all(screen, &view, shown.as_ref(), &histories))?;
        if event::poll(due.saturating_duration_since(Instant::now()))? {
            if let Event::Key(key) = event::read()?
                && view.press(key)
            {
                return Ok(());
            }
            continue;
        }
        due = Instant::now() + view.interval;
        let frame = watch.look();
        if !view.paused {
            remember(&mut histories, &frame);
            shown = Some(frame);
        }
    }
}

fn remember(histories: &mut Vec<History>, frame: &Frame) {
    histories.resize_with(frame.cores.len(), VecDeque::new);
    for (history, core) in histories.iter_mut().zip(&frame.cores) {
        if history.len() == HISTORY {
            history.pop_front();
        }
        history.push_back(core.flow.qps);
    }
}

impl View {
    fn new(interval: Duration) -> Self {
        Self {
            pane: Pane::Overview,
            sort: Sort::Qps,
            reversed: false,
            filter: String::new(),
            typing: false,
            paused: false,
            help: false,
            scroll: 0,
            interval,
        }
    }

    fn lets_pass(&self, texts: &[&str]) -> bool {
        let wanted = self.filter.to_lowercase();
        wanted.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&wanted))
    }

    fn services<'f>(&self, frame: &'f Frame) -> Vec<&'f Service> {
        let shown = frame.services.iter().filter(|service| self.lets_pass(&[&service.name]));
        self.sorted(shown.collect(), |service| {
            let flow = &service.flow;
            let us = |us: Option<u64>| us.unwrap_or(0) as f64;
            let value = match self.sort {
                Sort::Qps => flow.qps,
                Sort::Errors => flow.errors_per_s,
                Sort::P50 => us(flow.quantiles.p50_us),
                Sort::P99 => us(flow.quantiles.p99_us),
                Sort::Name => 0.0,
            };
            (value, service.name.clone())
        })
    }

    /// What is down comes first.
    fn endpoints<'f>(&self, frame: &'f Frame) -> Vec<&'f Endpoint> {
        let shown = frame.endpoints.iter().filter(|endpoint| self.lets_pass(&[&endpoint.service, &endpoint.node]));
        let mut sorted = self.sorted(shown.collect(), |endpoint| {
            let value = match self.sort {
                Sort::Qps => endpoint.attempts_per_s,
                Sort::Errors => endpoint.failures_per_s,
                Sort::P50 | Sort::P99 => endpoint.response_us.unwrap_or(0) as f64,
                Sort::Name => 0.0,
            };
            (value, format!("{} {}", endpoint.service, endpoint.node))
        });
        sorted.sort_by_key(|endpoint| endpoint.health != "down");
        sorted
    }

    fn sorted<'f, T>(&self, mut rows: Vec<&'f T>, key: impl Fn(&T) -> (f64, String)) -> Vec<&'f T> {
        rows.sort_by_cached_key(|row| {
            let (value, name) = key(row);
            // Larger ones first, and rates in whole thousandths, so that nothing moves for less.
            (std::cmp::Reverse((value * 1_000.0) as u64), name)
        });
        if self.reversed {
            rows.reverse();
        }
        rows
    }
}
