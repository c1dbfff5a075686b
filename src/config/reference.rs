//! The documents made from the schema: conf/reference.toml and docs/configuration.md.
//!
//! A test holds the committed files equal to what is made here, and another one loads the reference
//! and finds the defaults in it true.

use std::fmt::Write;

use super::schema::{self, File, Key, Kind, Preset, Status, Table, Zero};

const WIDTH: usize = 100;

const INTRODUCTION: &str = "\
# Configuration

This page and `conf/reference.toml` are made from the table in `src/config/schema`; a test fails where they differ.

The command line names one file, the module file. The others are read from the same folder where they are present. \
They are GateKeeper's own files: what it ships loads unchanged, its spelling included. Keys marked *new* are not \
GateKeeper's. A key without effect gives a warning, an unknown key is an error.

* `gatekeeper check conf/module.toml` reports every fault of every file at once, with file, line, column and a \
suggestion. It exits with 1 where the gateway would not start, with 0 on warnings.
* `gatekeeper explain conf/module.toml GET http://host/path` shows what would become of a request.
* A file that changes, `SIGHUP`, `GET /reload` and the timer `conf_load_interval` each load the files again. If \
anything in them stops the load, the configuration in force stays.
";

/// conf/reference.toml: every key with its default, unit and range.
#[must_use]
pub fn toml() -> String {
    let mut out = String::from(
        "# Every key of every file with its default, unit and range. Made from the table in\n\
         # src/config/schema; edit that. Each part below is a file of its own.\n",
    );
    for file in schema::FILES {
        let _ = write!(out, "\n# {}\n#\n# {}\n#\n", "=".repeat(WIDTH - 2), file.name);
        comment(&mut out, file.doc);
        if let Some(why) = without_effect(file.status) {
            comment(&mut out, &format!("Known and without effect: {why}."));
            continue;
        }
        for table in file.tables {
            toml_table(&mut out, table, "");
        }
    }
    out
}

fn toml_table(out: &mut String, table: &Table, parent: &str) {
    let header = table.header(parent);
    out.push('\n');
    if let Some(why) = without_effect(table.status) {
        return comment(out, &format!("{header} is known and without effect: {why}."));
    }
    comment(out, table.doc);
    let _ = writeln!(out, "{header}");
    for key in table.keys.iter().filter(|key| !key.doc.is_empty()) {
        toml_key(out, key);
    }
    for child in table.tables {
        toml_table(out, child, &table.path(parent));
    }
}

fn toml_key(out: &mut String, key: &Key) {
    out.push('\n');
    if let Some(why) = without_effect(key.status) {
        return comment(out, &format!("{} is known and without effect: {why}.", key.name));
    }
    comment(out, key.doc);
    comment(out, &facts(key));
    let number = matches!(key.kind, Kind::Int(..) | Kind::Share);
    let example = || if number { key.example.to_owned() } else { quoted(key.example) };
    let _ = writeln!(out, "{} = {}", key.name, preset(key).unwrap_or_else(example));
}

fn comment(out: &mut String, text: &str) {
    for line in wrapped(text, WIDTH - 2) {
        let _ = writeln!(out, "# {line}");
    }
}

/// docs/configuration.md: the same for people.
#[must_use]
pub fn markdown() -> String {
    let mut out = String::new();
    for paragraph in INTRODUCTION.lines() {
        markdown_paragraph(&mut out, paragraph, if paragraph.starts_with("* ") { "  " } else { "" });
    }
    for file in schema::FILES {
        let _ = write!(out, "\n## {}\n\n", file.name);
        markdown_paragraph(&mut out, file.doc, "");
        if let Some(why) = without_effect(file.status) {
            markdown_paragraph(&mut out, &format!("Known and without effect: {why}."), "");
            continue;
        }
        for table in file.tables {
            markdown_table(&mut out, table, "");
        }
    }
    out
}

fn markdown_table(out: &mut String, table: &Table, parent: &str) {
    let _ = write!(out, "\n### `{}`\n\n", table.header(parent));
    markdown_paragraph(out, table.doc, "");
    if let Some(why) = without_effect(table.status) {
        return markdown_paragraph(out, &format!("Known and without effect: {why}."), "");
    }
    if !table.keys.is_empty() {
        out.push('\n');
    }
    for key in table.keys {
        markdown_key(out, key);
    }
    for child in table.tables {
        markdown_table(out, child, &table.path(parent));
    }
}

fn markdown_key(out: &mut String, key: &Key) {
    if let Some(why) = without_effect(key.status) {
        return markdown_paragraph(out, &format!("* `{}`: without effect; {why}.", key.name), "  ");
    }
    let default = preset(key).map(|preset| format!(" = `{preset}`")).unwrap_or_default();
    let new = if key.status == Status::New { " *New.*" } else { "" };
    let text = format!("* **`{}`**{default}. {}{new} {}", key.name, facts(key), key.doc);
    markdown_paragraph(out, &text, "  ");
}

/// Lines after the first are indented.
fn markdown_paragraph(out: &mut String, text: &str, indent: &str) {
    if text.is_empty() {
        out.push('\n');
    }
    for (number, line) in wrapped(text, WIDTH - indent.len()).iter().enumerate() {
        let _ = writeln!(out, "{}{line}", if number > 0 { indent } else { "" });
    }
}

/// Kind, range, unit, what 0 means, and whether it must be there: one sentence or two.
fn facts(key: &Key) -> String {
    let mut facts = match key.kind {
        Kind::Text => "String".to_owned(),
        Kind::Commas => "String, its items divided by commas".to_owned(),
        Kind::Word(words) => format!("One of {}", words.join(", ")),
        Kind::List => "List of strings".to_owned(),
        Kind::Int(min, i64::MAX) => format!("{min} or more"),
        Kind::Int(min, max) => format!("{min} to {max}"),
        Kind::Bool => "true or false".to_owned(),
        Kind::Share => "0 to 1".to_owned(),
    };
    if !key.unit.is_empty() {
        let exponent = if key.unit == "exponent" { ", an" } else { "" };
        let _ = write!(facts, "{exponent} {}", key.unit);
    }
    match key.zero {
        Zero::Number => {}
        Zero::Means(what) => facts.push_str(&format!("; 0 is {what}")),
        Zero::Default => facts.push_str("; 0 is the default"),
    }
    if key.preset == Preset::Required {
        facts.push_str("; required");
    }
    facts.push('.');
    if let Status::Later(why) = key.status {
        let _ = write!(facts, " Said at load: {why}.");
    }
    facts
}

fn without_effect(status: Status) -> Option<&'static str> {
    match status {
        Status::Ignored(why) | Status::Obsolete(why) => Some(why),
        Status::Live | Status::New | Status::Label | Status::Later(_) => None,
    }
}

fn preset(key: &Key) -> Option<String> {
    match key.preset {
        Preset::Required => None,
        Preset::Text(text) => Some(quoted(text)),
        Preset::Int(value) => Some(value.to_string()),
        Preset::Bool(value) => Some(value.to_string()),
        Preset::Millionths(millionths) => Some((f64::from(millionths) / 1e6).to_string()),
        Preset::Empty => Some("[]".to_owned()),
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines
}

/// The part of the reference that is this file, without the comments before it.
#[must_use]
pub fn part(file: &File) -> Option<String> {
    let reference = toml();
    let start = reference.find(&format!("#\n# {}\n#\n", file.name))?;
    let part = &reference[start..];
    let end = part.find("\n# ====").unwrap_or(part.len());
    Some(part[..end].to_owned())
}
