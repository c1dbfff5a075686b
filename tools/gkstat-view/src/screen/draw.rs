//! The screen as a whole: what stands where, the lines above and below, the help.

use ratatui::Frame as Screen;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Paragraph};

use super::keys::KEYS;
use super::{History, Pane, View, panes};
use crate::frame::{Frame, State};
use crate::print::{headline, totals};
use crate::units::bytes;

pub(super) const DIM: Style = Style::new().fg(Color::DarkGray);
pub(super) const STRONG: Style = Style::new().add_modifier(Modifier::BOLD);
const TITLE: Style = Style::new().fg(Color::Cyan).add_modifier(Modifier::BOLD);

/// Everything.
pub(super) fn all(screen: &mut Screen<'_>, view: &View, frame: Option<&Frame>, histories: &[History]) {
    let [head, body, foot] =
        Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]).areas(screen.area());
    match frame {
        None => screen.render_widget(Paragraph::new("looking…").style(DIM), head),
        Some(frame) => {
            draw_head(screen, head, frame);
            draw_body(screen, body, view, frame, histories);
        }
    }
    draw_foot(screen, foot, view);
    if view.help {
        draw_help(screen, body);
    }
}

/// A pane's frame with its name.
pub(super) fn bordered(title: String) -> Block<'static> {
    Block::bordered().border_type(BorderType::Rounded).border_style(DIM).title(Span::styled(title, TITLE))
}

fn draw_head(screen: &mut Screen<'_>, area: Rect, frame: &Frame) {
    let style = match frame.process.state {
        State::Running => STRONG,
        State::Stopped => STRONG.fg(Color::Yellow),
        State::Gone => STRONG.fg(Color::Red),
    };
    let flow = &frame.total;
    let (coming, going) = (bytes(flow.bytes_in_per_s), bytes(flow.bytes_out_per_s));
    let more = format!(" · in {coming} · out {going} · {} tunnels · {} queued", flow.tunnels, flow.queued);
    let first = Line::from(vec![Span::styled(headline(frame), style), Span::styled(more, DIM)]);
    let second = Line::styled(totals(flow), STRONG.fg(Color::Green));
    screen.render_widget(Paragraph::new(vec![first, second]), area);
}

fn draw_body(screen: &mut Screen<'_>, area: Rect, view: &View, frame: &Frame, histories: &[History]) {
    match view.pane {
        Pane::Cores => panes::cores(screen, area, frame, histories, view.scroll),
        Pane::Services => panes::services(screen, area, view, frame, view.scroll),
        Pane::Endpoints => panes::endpoints(screen, area, view, frame, view.scroll),
        Pane::Reasons => panes::reasons(screen, area, frame, view.scroll),
        Pane::Overview => {
            let cores = panes::cores_height(frame.cores.len(), area.width).min(area.height / 3).max(3);
            let below = area.height.saturating_sub(cores) * 2 / 5;
            let [top, middle, bottom] =
                Layout::vertical([Constraint::Length(cores), Constraint::Min(4), Constraint::Length(below)])
                    .areas(area);
            let [left, right] =
                Layout::horizontal([Constraint::Percentage(68), Constraint::Percentage(32)]).areas(bottom);
            panes::cores(screen, top, frame, histories, 0);
            panes::services(screen, middle, view, frame, view.scroll);
            panes::endpoints(screen, left, view, frame, 0);
            panes::reasons(screen, right, frame, 0);
        }
    }
}

fn draw_foot(screen: &mut Screen<'_>, area: Rect, view: &View) {
    let key = |text: &'static str| Span::styled(text, STRONG.fg(Color::Cyan));
    let direction = if view.reversed { "↑" } else { "↓" };
    let mut spans = vec![
        key(" q"),
        " quit ".into(),
        key("s"),
        format!(" sort:{}{direction} ", view.sort.name()).into(),
        key("/"),
        format!(" filter:{}{} ", view.filter, if view.typing { "▏" } else { "" }).into(),
        key("p"),
        " pause ".into(),
        key("Tab"),
        " pane ".into(),
        key("?"),
        " help ".into(),
        Span::styled(format!("every {} s", view.interval.as_secs_f32()), DIM),
    ];
    if view.paused {
        spans.insert(0, Span::styled(" PAUSED ", STRONG.fg(Color::Black).bg(Color::Yellow)));
    }
    screen.render_widget(Paragraph::new(Line::from(spans)), area);
}

fn draw_help(screen: &mut Screen<'_>, within: Rect) {
    let lines: Vec<Line<'_>> = KEYS
        .iter()
        .map(|(keys, what)| Line::from(vec![Span::styled(format!(" {keys:<15}"), STRONG), Span::raw(*what)]))
        .collect();
    let (width, height) = (within.width.min(78), within.height.min(lines.len() as u16 + 2));
    let area =
        Rect { x: within.x + (within.width - width) / 2, y: within.y + (within.height - height) / 2, width, height };
    screen.render_widget(Clear, area);
    screen.render_widget(Paragraph::new(lines).block(bordered(" Help, any key leaves ".to_owned())), area);
}
