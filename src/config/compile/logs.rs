//! The keys of the four logs → `Logs`.

use jiff::tz::TimeZone;

use super::{Desk, Page};
use crate::config::logs::{Access, Destination, Format, Level, Logs, Pattern, Variable, Writers};
use crate::config::section::Section;
use crate::config::source::{Faults, Source};
use crate::config::suggest;

/// Rooms of the program whose level may be set.
const ROOMS: &[&str] = &["config", "control", "worker", "run"];

/// What the files say of the logs.
pub(super) fn compile(page: &Page, zone: TimeZone, faults: &mut Faults) -> Logs {
    let base = page.root.one("base");
    let syslog = page.root.one("syslog");
    let statlog = page.root.one("statlog");
    let mut writers = |table| writers(&page.source, page.root.one(table), faults);
    let [log, system, check, stat] = ["log", "syslog", "checklog", "statlog"].map(&mut writers);
    let on = base.text("access_log") == "on" && log.any();
    let mut desk = Desk { source: &page.source, section: base, faults: &mut *faults };
    let access = Access {
        writers: log,
        format: format(&mut desk),
        sample: if on { base.int_u32("access_log_sample") } else { 0 },
        redact: desk.items("log_redact").iter().map(|item| item.text.to_lowercase().into()).collect(),
    };
    let mut desk = Desk { source: &page.source, section: syslog, faults };
    let rooms = desk.each("rooms", room).into();
    let (stat_interval_s, json) = (statlog.int_u32("interval"), syslog.text("format") == "json");
    Logs { zone, access, system, check, stat, stat_interval_s, json, rooms }
}

fn format(desk: &mut Desk<'_>) -> Format {
    let text = desk.section.text("access_log_format").to_owned();
    if !text.contains('$') && !Format::WORDS.contains(&&*text) {
        let help = suggest::among(&text, Format::WORDS.iter().copied());
        let known = || format!("write {}, or a text with variables such as $status", Format::WORDS.join(", "));
        desk.error("access_log_format", format!("there is no form `{text}` built in"), &help.unwrap_or_else(known));
        return Format::GateKeeper;
    }
    Format::parse(&text).unwrap_or_else(|wrong| {
        let help = suggest::among(&wrong.name, Variable::ALL.iter().map(|(_, name, _)| *name));
        let at = desk.section.inside(desk.source, "access_log_format", wrong.at);
        let help = help.unwrap_or_else(|| "docs/operating.md lists them; `$$` is a dollar sign".to_owned());
        desk.faults.error(desk.source, at, format!("there is no variable `${}`", wrong.name), help);
        Format::GateKeeper
    })
}

fn room(text: &str) -> Result<(Box<str>, Level), super::address::Wrong> {
    let (room, level) = text.split_once('=').unwrap_or((text, ""));
    let (room, level) = (room.trim(), level.trim());
    match Level::of(level) {
        _ if !ROOMS.contains(&room) => {
            Err((format!("there is no room `{room}`"), "write config, control, worker or run"))
        }
        None => Err((format!("`{text}` gives no level"), "write for example `control=debug`")),
        Some(level) => Ok((room.into(), level)),
    }
}

fn writers(source: &Source, section: &Section, faults: &mut Faults) -> Writers {
    let level = Level::of(section.text("log_level")).unwrap_or(Level::Info);
    let (file, console) = (section.one("file_writer"), section.one("console_writer"));
    let console = console.flag("on").then(|| console.flag("color"));
    let mut desk = Desk { source, section: file, faults };
    if !file.flag("on") {
        return Writers { level, file: None, wf: None, console };
    }
    let main = destination(&mut desk, "log_path", "rotate_log_path");
    if main.is_none() {
        desk.error(
            "on",
            "`file_writer` is on and `log_path` names no file".to_owned(),
            "name one, or set `on = false`",
        );
    }
    let wf = destination(&mut desk, "wf_log_path", "rotate_wf_log_path");
    // GateKeeper's own files name the same file twice.
    let wf = wf.filter(|wf| main.as_ref().is_none_or(|main| main.path != wf.path));
    Writers { level, file: main, wf, console }
}

fn destination(desk: &mut Desk<'_>, path_key: &str, pattern_key: &str) -> Option<Destination> {
    let (path, pattern) = (desk.section.text(path_key).to_owned(), desk.section.text(pattern_key).to_owned());
    if path.is_empty() {
        return None;
    }
    let rotated = match Pattern::parse(&pattern) {
        Ok(parsed) => {
            if !pattern.is_empty() && !parsed.changes() {
                let help = "put %Y, %M, %D, %H or %m into it";
                desk.error(
                    pattern_key,
                    format!("`{pattern}` stays the same, so the file would never be rotated"),
                    help,
                );
            }
            parsed.changes().then_some(parsed)
        }
        Err(at) => {
            let message =
                format!("`{}` stands for no part of the time", &pattern[at..].chars().take(2).collect::<String>());
            let at = desk.section.inside(desk.source, pattern_key, at);
            let help = "%Y is the year, %M the month, %D the day, %H the hour, %m the minute, %% a percent sign";
            desk.faults.error(desk.source, at, message, help);
            None
        }
    };
    let bytes_max = u64::try_from(desk.section.int("rotate_bytes")).unwrap_or(0);
    Some(Destination { path: path.into(), rotated, bytes_max })
}
