//! The panes: cores with bars and sparklines, services, endpoints, reasons.

use ratatui::Frame as Screen;
use ratatui::layout::{Alignment, Constraint, Rect};
use ratatui::style::{Color, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::draw::{DIM, STRONG, bordered};
use super::{History, View};
use crate::frame::{Core, Frame};
use crate::units::{bytes, count, duration};

/// Columns of one core; of a wide one with a sparkline.
const CORE_WIDTH: u16 = 38;
const BAR_WIDTH: usize = 10;

/// Lines that so many cores take, the border among them.
pub(super) fn cores_height(count: usize, width: u16) -> u16 {
    let side_by_side = cores_in_a_line(width);
    u16::try_from(count.div_ceil(side_by_side)).unwrap_or(u16::MAX).saturating_add(2)
}

fn cores_in_a_line(width: u16) -> usize {
    usize::from(width.saturating_sub(2) / CORE_WIDTH).max(1)
}

/// Each core: a bar of its requests against the busiest, in the colour of its processor time, and what it was before.
pub(super) fn cores(screen: &mut Screen<'_>, area: Rect, frame: &Frame, histories: &[History], scroll: usize) {
    let (side_by_side, lines) = (cores_in_a_line(area.width), usize::from(area.height.saturating_sub(2)));
    let room = lines * side_by_side;
    let first = (scroll * side_by_side).min(frame.cores.len().saturating_sub(room));
    let shown = &frame.cores[first..frame.cores.len().min(first + room)];
    let most = histories.iter().flatten().fold(1.0_f64, |most, qps| most.max(*qps));
    let width = usize::from(area.width.saturating_sub(2)) / side_by_side;
    let rows = shown.len().div_ceil(side_by_side).max(1);
    let text: Vec<Line<'_>> = (0..rows)
        .map(|row| {
            // One below the other first, as people count.
            let cores = (0..side_by_side).filter_map(|column| shown.get(column * rows + row));
            Line::from(
                cores.flat_map(|core| core_spans(core, histories.get(core.core), most, width)).collect::<Vec<_>>(),
            )
        })
        .collect();
    let hidden = frame.cores.len() - shown.len();
    let more = if hidden > 0 { format!("{} of ", shown.len()) } else { String::new() };
    let title = format!(" Cores: {more}{} ", frame.cores.len());
    screen.render_widget(Paragraph::new(text).block(bordered(title)), area);
}

fn core_spans(core: &Core, history: Option<&History>, most: f64, width: usize) -> Vec<Span<'static>> {
    let colour = match core.cpu_percent {
        ..60.0 => Color::Green,
        60.0..85.0 => Color::Yellow,
        _ => Color::Red,
    };
    let number = format!("{:>3} ", core.core);
    let numbers = format!("{:>7}/s {:>3.0}% ", count(core.flow.qps), core.cpu_percent);
    let left = width.saturating_sub(number.len() + BAR_WIDTH + numbers.len() + 1);
    vec![
        Span::styled(number, DIM),
        Span::styled(bar(core.flow.qps / most, BAR_WIDTH), Style::new().fg(colour).bg(Color::Indexed(236))),
        Span::styled(numbers, STRONG),
        Span::styled(sparkline(history, most, left), Style::new().fg(Color::Blue)),
        Span::raw(" "),
    ]
}

/// A bar of that part of the width, in eighths.
fn bar(part: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (part.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    // What is not nothing is seen.
    let eighths = if part > 0.0 { eighths.max(1) } else { 0 };
    let text = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
    format!("{text:<width$}")
}

/// The last values, the newest on the right.
fn sparkline(history: Option<&History>, most: f64, width: usize) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let values: Vec<f64> = history.map(|history| history.iter().copied().collect()).unwrap_or_default();
    let shown = &values[values.len().saturating_sub(width)..];
    let line: String = shown
        .iter()
        .map(|value| if *value < 0.05 { ' ' } else { LEVELS[((value / most * 7.0).round() as usize).min(7)] })
        .collect();
    format!("{line:>width$}")
}

/// The head of a table: the first column to the left, the others to the right.
fn head(names: &[&'static str]) -> Row<'static> {
    Row::new(names.iter().enumerate().map(|(index, name)| aligned(Span::styled(*name, DIM), index > 0)))
}

fn aligned<'t>(span: impl Into<Span<'t>>, right: bool) -> Cell<'t> {
    let alignment = if right { Alignment::Right } else { Alignment::Left };
    Cell::new(Text::from(Line::from(span.into())).alignment(alignment))
}

/// How many rows are above those shown, of so many.
fn above(scroll: usize, rows: usize, area: Rect) -> usize {
    scroll.min(rows.saturating_sub(usize::from(area.height.saturating_sub(3)).max(1)))
}

/// Services with their rates, quantiles, and why they fail.
pub(super) fn services(screen: &mut Screen<'_>, area: Rect, view: &View, frame: &Frame, scroll: usize) {
    let services = view.services(frame);
    let columns = if area.width < 110 { 7 } else { 9 };
    let rows = services.iter().skip(above(scroll, services.len(), area)).map(|service| {
        let (flow, quantiles) = (&service.flow, &service.flow.quantiles);
        let failing = if flow.errors_per_s > 0.0 { Style::new().fg(Color::Red) } else { DIM };
        let name = if service.tcp { format!("{} (tcp)", service.name) } else { service.name.clone() };
        let mut cells = vec![
            aligned(name, false),
            aligned(Span::styled(count(flow.qps), STRONG), true),
            aligned(Span::styled(count(flow.errors_per_s), failing), true),
            aligned(duration(quantiles.p50_us), true),
            aligned(duration(quantiles.p99_us), true),
            aligned(duration(quantiles.p999_us), true),
            aligned(flow.in_flight.to_string(), true),
            aligned(bytes(flow.bytes_in_per_s), true),
            aligned(bytes(flow.bytes_out_per_s), true),
        ];
        cells.truncate(columns);
        let why = service.reason.clone().unwrap_or_default();
        cells.push(aligned(Span::styled(why, Style::new().fg(Color::Yellow)), false));
        Row::new(cells)
    });
    let widths = [8, 7, 8, 8, 8, 5, 12, 12].into_iter().take(columns - 1).map(Constraint::Length);
    let widths = [Constraint::Fill(2)].into_iter().chain(widths).chain([Constraint::Fill(1)]);
    let head = head(&["service", "qps", "err/s", "p50", "p99", "p999", "busy", "in", "out"][..columns]);
    let title = format!(" Services: {} of {} ", services.len(), frame.services.len());
    screen.render_widget(Table::new(rows, widths).header(head).block(bordered(title)), area);
}

/// Endpoints with their health, weight and what is in flight.
pub(super) fn endpoints(screen: &mut Screen<'_>, area: Rect, view: &View, frame: &Frame, scroll: usize) {
    let endpoints = view.endpoints(frame);
    let (named, columns) = match area.width {
        ..64 => (false, 5),
        64..76 => (true, 5),
        76..90 => (true, 7),
        _ => (true, 9),
    };
    let rows = endpoints.iter().skip(above(scroll, endpoints.len(), area)).map(|endpoint| {
        let colour = match endpoint.health {
            "up" => Color::Green,
            "down" => Color::Red,
            _ => Color::Yellow,
        };
        let name = if named { format!("{} {}", endpoint.service, endpoint.node) } else { endpoint.node.clone() };
        let cells = [
            aligned(name, false),
            aligned(Span::styled(endpoint.health, Style::new().fg(colour)), true),
            aligned(endpoint.weight.to_string(), true),
            aligned(Span::styled(count(endpoint.attempts_per_s), STRONG), true),
            aligned(endpoint.in_flight.to_string(), true),
            aligned(count(endpoint.failures_per_s), true),
            aligned(duration(endpoint.response_us), true),
            aligned(endpoint.idle.to_string(), true),
            aligned(endpoint.queued.to_string(), true),
        ];
        Row::new(cells.into_iter().take(columns))
    });
    let names = ["endpoint", "health", "weight", "qps", "busy", "fail/s", "response", "idle", "queued"];
    let widths = [0, 9, 6, 7, 5, 7, 9, 5, 6];
    let widths = widths[..columns].iter().map(|width| match width {
        0 => Constraint::Fill(1),
        width => Constraint::Length(*width),
    });
    let down = frame.endpoints.iter().filter(|endpoint| endpoint.health == "down").count();
    let down = if down > 0 { format!(", {down} down") } else { String::new() };
    let title = format!(" Endpoints: {} of {}{down} ", endpoints.len(), frame.endpoints.len());
    let table = Table::new(rows, widths).header(head(&names[..columns])).block(bordered(title));
    screen.render_widget(table, area);
}

/// Why exchanges ended early.
pub(super) fn reasons(screen: &mut Screen<'_>, area: Rect, frame: &Frame, scroll: usize) {
    // The longest reasons have 22 letters.
    let columns = if area.width >= 40 { 3 } else { 2 };
    let rows = frame.reasons.iter().skip(above(scroll, frame.reasons.len(), area)).map(|reason| {
        let fresh = if reason.per_s > 0.0 { Style::new().fg(Color::Yellow) } else { DIM };
        let cells = [
            aligned(Span::styled(reason.reason.clone(), fresh), false),
            aligned(Span::styled(count(reason.per_s), STRONG), true),
            aligned(count(reason.total as f64).trim_end_matches(".0").to_owned(), true),
        ];
        Row::new(cells.into_iter().take(columns))
    });
    let widths = [Constraint::Fill(1), Constraint::Length(6), Constraint::Length(6)];
    let widths = widths.into_iter().take(columns);
    let table = Table::new(rows, widths).header(head(&["reason", "per s", "total"][..columns]));
    screen.render_widget(table.block(bordered(" Reasons ".to_owned())), area);
}
