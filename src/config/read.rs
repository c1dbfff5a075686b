//! A file's text, read against the schema: every known value with its place, and every fault of form.
//!
//! In scope: TOML syntax, unknown and missing keys and tables, types, ranges, words, keys without
//! effect. Out of scope: what the values mean together (`compile`).

use std::borrow::Cow;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer};

use super::schema::{File, Key, Kind, Preset, Shape, Status, Table, Zero};
use super::section::{Found, Item, Section, Value};
use super::source::{Faults, Source};
use super::suggest;

/// A file with more is another kind of file, such as a log.
const SYNTAX_ERRORS_MAX: usize = 50;

/// Reads one file. Its faults are added; what could be read is returned.
pub(super) fn read(file: &'static File, source: &Source, faults: &mut Faults) -> Section {
    let (root, syntax) = DeTable::parse_recoverable(&source.text);
    let quiet = !file.status.is_live();
    let mut reader =
        Reader { file, source, faults, silent: Vec::new(), broken: !syntax.is_empty(), quiet, unused: Vec::new() };
    for error in syntax.iter().take(SYNTAX_ERRORS_MAX) {
        let at = error.span().map_or(0, |span| span.start);
        reader.broken_lines(error.span().unwrap_or(0..0));
        reader.faults.error(source, at, error.message(), "");
    }
    if syntax.len() > SYNTAX_ERRORS_MAX {
        reader.faults.whole(&source.path, false, "is not a TOML file".to_owned(), None);
        return Section::absent(file, 0);
    }
    if let Status::Ignored(why) = file.status {
        let message = format!("{} has no effect: {why}", file.name);
        reader.faults.whole(&source.path, true, message, None);
    }
    let section = reader.section(file, "", root.get_ref(), 0);
    reader.say_unused();
    section
}

/// A key or table without effect, as found.
struct Unused {
    path: String,
    at: usize,
    status: Status,
}

struct Reader<'r> {
    file: &'static File,
    source: &'r Source,
    faults: &'r mut Faults,
    /// Lines with a syntax error: what recovery made of them is not judged.
    silent: Vec<usize>,
    broken: bool,
    /// Inside a table or file that has been said to have no effect.
    quiet: bool,
    unused: Vec<Unused>,
}

impl Reader<'_> {
    fn broken_lines(&mut self, span: Range<usize>) {
        let (first, last) = (self.source.position(span.start).0, self.source.position(span.end).0);
        self.silent.extend(first..=last);
    }

    fn error<'t>(&mut self, at: usize, message: impl Into<Cow<'t, str>>, help: impl Into<Cow<'t, str>>) {
        if !self.silent.contains(&self.source.position(at).0) {
            self.faults.error(self.source, at, message, help);
        }
    }

    fn section(&mut self, table: &'static Table, path: &str, found: &DeTable<'_>, at: usize) -> Section {
        let mut section = Section::absent(table, at);
        for (name, value) in found {
            if let Some(index) = table.keys.iter().position(|key| key.name == name.get_ref()) {
                let key = &table.keys[index];
                self.note_unused(key.status, name.span().start, || {
                    format!("`{}` in {}", key.name, header(table, path))
                });
                if let Some(found) = self.value(key, value) {
                    section.give(index, found);
                }
            } else if let Some(index) = table.tables.iter().position(|table| table.name == name.get_ref()) {
                let table = &table.tables[index];
                let path = table.path(path);
                let at = if value.span().is_empty() { name.span().start } else { value.span().start };
                self.note_unused(table.status, at, || header(table, &path));
                let outer = self.quiet;
                self.quiet |= !table.status.is_live();
                section.give_tables(index, self.sections(table, &path, at, value.get_ref()));
                self.quiet = outer;
            } else {
                self.unknown(table, path, name);
            }
        }
        self.missing(table, path, found, at);
        section
    }

    fn note_unused(&mut self, status: Status, at: usize, path: impl FnOnce() -> String) {
        if !self.quiet && matches!(status, Status::Ignored(_) | Status::Obsolete(_)) {
            self.unused.push(Unused { path: path(), at, status });
        }
    }

    /// What stands under a table's name, as its shape demands.
    fn sections(&mut self, table: &'static Table, path: &str, at: usize, value: &DeValue<'_>) -> Vec<Section> {
        match (table.shape, value) {
            (Shape::One, DeValue::Table(found)) => return vec![self.section(table, path, found, at)],
            (Shape::Free, DeValue::Table(found)) => return vec![self.free(table, found, at)],
            (Shape::Many, DeValue::Array(found)) => {
                return found
                    .iter()
                    .filter_map(|item| self.item(table, path, item.span().start, item.get_ref()))
                    .collect();
            }
            (Shape::Named, DeValue::Table(found)) => {
                let named = found.iter().filter_map(|(name, item)| {
                    let path = format!("{path}.{}", name.get_ref());
                    self.item(table, &path, name.span().start, item.get_ref())
                });
                return named.collect();
            }
            _ => {}
        }
        let wanted = if table.shape == Shape::Many { "a list of tables" } else { "a table" };
        let help = format!("write {}", header(table, path));
        self.error(at, format!("`{path}` must be {wanted}, not {}", type_of(value)), help);
        // Read on as what was meant, so that what is in it is judged too.
        match (table.shape, value) {
            (Shape::Many, DeValue::Table(found)) => vec![self.section(table, path, found, at)],
            (Shape::One | Shape::Free, _) => vec![Section::absent(table, at)],
            _ => Vec::new(),
        }
    }

    /// A table that is somebody else's to judge.
    fn free(&mut self, table: &'static Table, found: &DeTable<'_>, at: usize) -> Section {
        let mut section = Section::absent(table, at);
        let found = Spanned::new(at..at, found.clone());
        match toml::Table::deserialize(Deserializer::from(found)) {
            Ok(free) => section.give_free(free),
            Err(error) => self.error(at, error.message(), ""),
        }
        section
    }

    fn item(&mut self, table: &'static Table, path: &str, at: usize, value: &DeValue<'_>) -> Option<Section> {
        if let DeValue::Table(found) = value {
            return Some(self.section(table, path, found, at));
        }
        self.error(at, format!("`{path}` must hold tables, not {}", type_of(value)), "");
        None
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>) -> Option<Found> {
        let span = value.span();
        let checked = match (key.kind, value.get_ref()) {
            (Kind::Text | Kind::Commas, DeValue::String(text)) => self.text(key, text, span.start),
            (Kind::Word(words), DeValue::String(text)) => self.word(key, words, text, span.start),
            (Kind::List, DeValue::Array(array)) => self.list(key, array),
            (Kind::Int(min, max), DeValue::Integer(int)) => {
                let int = i64::from_str_radix(int.as_str(), int.radix()).ok();
                self.int(key, min, max, int, span.start)
            }
            (Kind::Bool, DeValue::Boolean(value)) => Some(Value::Bool(*value)),
            (Kind::Share, DeValue::Float(number)) => self.share(key, number.as_str(), span.start),
            (Kind::Share, DeValue::Integer(number)) => self.share(key, number.as_str(), span.start),
            (kind, other) => {
                self.wrong(span.start, key.name, kind_of(kind), other);
                None
            }
        };
        checked.map(|value| Found { value, span })
    }

    fn wrong(&mut self, at: usize, name: &str, wanted: &str, found: &DeValue<'_>) {
        let help = match (wanted, found) {
            ("a list of strings", DeValue::String(_)) => "write [\"first\", \"second\"]",
            ("a string", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => "put it in quotes",
            ("a string, its items divided by commas", DeValue::Array(_)) => "write \"first,second\"",
            ("an integer" | "a number" | "true or false", DeValue::String(_)) => "write it without quotes",
            _ => "",
        };
        self.error(at, format!("`{name}` must be {wanted}, not {}", type_of(found)), help);
    }

    fn text(&mut self, key: &Key, text: &str, at: usize) -> Option<Value> {
        if key.preset == Preset::Required && text.trim().is_empty() {
            self.error(at, format!("`{}` is empty", key.name), example(key));
            return None;
        }
        Some(Value::Text(text.to_owned()))
    }

    fn word(&mut self, key: &Key, words: &[&str], text: &str, at: usize) -> Option<Value> {
        if words.contains(&text) {
            return Some(Value::Text(text.to_owned()));
        }
        let help = suggest::among(text, words.iter().copied());
        let help = help.unwrap_or_else(|| format!("one of {}", words.join(", ")));
        self.error(at, format!("`{}` cannot be \"{text}\"", key.name), help);
        None
    }

    fn list(&mut self, key: &Key, array: &toml::de::DeArray<'_>) -> Option<Value> {
        let mut items = Vec::with_capacity(array.len());
        for item in array {
            match item.get_ref() {
                DeValue::String(text) => {
                    let at = self.source.inside(&item.span(), text, 0);
                    items.push(Item { text: text.trim().to_owned(), at });
                }
                other => {
                    let message = format!("an item of `{}` must be a string, not {}", key.name, type_of(other));
                    self.error(item.span().start, message, "put it in quotes");
                }
            }
        }
        Some(Value::List(items))
    }

    fn int(&mut self, key: &Key, min: i64, max: i64, int: Option<i64>, at: usize) -> Option<Value> {
        match int {
            Some(value) if (min..=max).contains(&value) => Some(Value::Int(value)),
            Some(0) if key.zero != Zero::Number => Some(Value::Int(0)),
            _ => {
                self.error(at, format!("`{}` must be {}", key.name, range(key, min, max)), unit(key.unit));
                None
            }
        }
    }

    fn share(&mut self, key: &Key, number: &str, at: usize) -> Option<Value> {
        let share = number.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
        let millionths = share.map(|share| (share, (share * 1e6).round() as i64));
        match millionths {
            Some((share, millionths)) if share == 0.0 || millionths > 0 => Some(Value::Int(millionths)),
            Some(_) => {
                self.error(at, format!("`{}` is too small to tell from 0", key.name), "0.000001 is the smallest");
                None
            }
            None => {
                self.error(at, format!("`{}` must be 0 to 1", key.name), "1 is all of them, 0.01 one in a hundred");
                None
            }
        }
    }

    fn unknown(&mut self, table: &'static Table, path: &str, name: &Spanned<Cow<'_, str>>) {
        let place = if path.is_empty() { self.file.name.to_owned() } else { header(table, path) };
        let help = suggest::key(self.file, table, name.get_ref());
        self.error(name.span().start, format!("unknown key `{}` in {place}", name.get_ref()), help.unwrap_or_default());
    }

    /// Not judged in a file with a syntax error: recovery may have lost what seems missing.
    fn missing(&mut self, table: &'static Table, path: &str, found: &DeTable<'_>, at: usize) {
        if self.broken {
            return;
        }
        for key in table.keys {
            if key.preset == Preset::Required && !found.contains_key(key.name) {
                let message = format!("`{}` is missing in {}", key.name, header(table, path));
                self.error(at, message, example(key));
            }
        }
        for child in table.tables {
            let empty = |value: &Spanned<DeValue<'_>>| value.get_ref().as_array().is_some_and(|array| array.is_empty());
            if child.required && found.get(child.name).is_none_or(empty) {
                self.error(at, format!("{} is missing", child.header(path)), "");
            }
        }
    }

    /// One warning for each key without effect, at its first place.
    fn say_unused(&mut self) {
        let mut unused = std::mem::take(&mut self.unused);
        unused.sort_by(|a, b| (&a.path, a.at).cmp(&(&b.path, b.at)));
        for same in unused.chunk_by(|a, b| a.path == b.path) {
            let Unused { path, at, status } = &same[0];
            let times = if same.len() > 1 { format!(" ({} times in this file)", same.len()) } else { String::new() };
            let (Status::Ignored(why) | Status::Obsolete(why)) = status else { continue };
            let kind = if matches!(status, Status::Obsolete(_)) { "is obsolete and " } else { "" };
            self.faults.warn(self.source, *at, format!("{path} {kind}has no effect: {why}{times}"), "");
        }
    }
}

fn example(key: &Key) -> String {
    // A secret that a message shows is one that everybody knows.
    if key.name == "secret" {
        return "make one: openssl rand -hex 16".to_owned();
    }
    format!("for example {} = \"{}\"", key.name, key.example)
}

fn header(table: &Table, path: &str) -> String {
    if table.shape == Shape::Many { format!("[[{path}]]") } else { format!("[{path}]") }
}

fn unit(unit: &'static str) -> &'static str {
    match unit {
        "s" => "it is in seconds",
        "ms" => "it is in milliseconds",
        "bytes" => "it is in bytes",
        "exponent" => "it is a power of two: 16 means 65,536 bytes",
        _ => "",
    }
}

fn range(key: &Key, min: i64, max: i64) -> String {
    let (zero, min) = match (key.zero, min) {
        (Zero::Number, min) => ("", min),
        (_, 1) => ("", 0),
        (_, min) => ("0 or ", min),
    };
    if max == i64::MAX { format!("{zero}{min} or more") } else { format!("{zero}{min} to {max}") }
}

fn kind_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Word(_) => "a string",
        Kind::Commas => "a string, its items divided by commas",
        Kind::List => "a list of strings",
        Kind::Int(..) => "an integer",
        Kind::Bool => "true or false",
        Kind::Share => "a number",
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
