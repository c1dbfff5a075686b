//! A file's text, read against the schema: every known value with its place, and every fault of form.
//!
//! In scope: TOML syntax, unknown and missing keys and tables, types, ranges, words, keys without
//! effect. Out of scope: what the values mean together (`compile`).

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::schema::{File, Key, Kind, Preset, Shape, Status, Table, Zero};
use super::source::{Faults, Source};
use super::suggest;

/// A value that has the type and range its key demands.
#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Int(i64),
    Bool(bool),
    List(Vec<Item>),
}

/// One string of a list, or one item of a comma list, trimmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub(super) text: String,
    /// Where it stands in the file.
    pub(super) at: usize,
}

#[derive(Debug)]
struct Found {
    value: Value,
    span: Range<usize>,
}

/// One table of a file: what it says, and the schema's defaults for what it does not.
#[derive(Debug)]
pub(super) struct Section {
    table: &'static Table,
    /// Where it stands; where its parent stands if it is absent.
    pub(super) at: usize,
    values: Vec<Option<Found>>,
    sections: Vec<Vec<Section>>,
}

impl Section {
    /// The section of a table that no file has.
    pub(super) fn absent(table: &'static Table, at: usize) -> Self {
        let sections = table.tables.iter().map(|table| match table.shape {
            Shape::One => vec![Section::absent(table, at)],
            Shape::Many | Shape::Named => Vec::new(),
        });
        let values = table.keys.iter().map(|_| None).collect();
        Section { table, at, values, sections: sections.collect() }
    }

    fn index(&self, name: &str) -> usize {
        let index = self.table.keys.iter().position(|key| key.name == name);
        index.expect("compile asks for keys of the schema; the test of every live key reads them all")
    }

    fn found(&self, name: &str) -> (&'static Key, Option<&Found>) {
        let index = self.index(name);
        (&self.table.keys[index], self.values[index].as_ref())
    }

    /// Whether the file gives the key a value that could be taken.
    pub(super) fn gives(&self, name: &str) -> bool {
        self.found(name).1.is_some()
    }

    /// Where to point for this key: its value, or the table.
    pub(super) fn at(&self, name: &str) -> usize {
        self.found(name).1.map_or(self.at, |found| found.span.start)
    }

    /// Where byte `offset` of the key's text stands.
    pub(super) fn inside(&self, source: &Source, name: &str, offset: usize) -> usize {
        match self.found(name).1 {
            Some(Found { value: Value::Text(text), span }) => source.inside(span, text, offset),
            _ => self.at(name),
        }
    }

    /// A text, trimmed, or its default where it is absent or empty; empty for a required key that is missing.
    pub(super) fn text(&self, name: &str) -> &str {
        match self.found(name) {
            (_, Some(Found { value: Value::Text(text), .. })) if !text.trim().is_empty() => text.trim(),
            (Key { preset: Preset::Text(text), .. }, _) => text,
            _ => "",
        }
    }

    /// A text exactly as given; empty where it is absent.
    pub(super) fn raw(&self, name: &str) -> &str {
        if let Some(Found { value: Value::Text(text), .. }) = self.found(name).1 { text } else { "" }
    }

    /// A number, or its default.
    pub(super) fn int(&self, name: &str) -> i64 {
        let (key, found) = self.found(name);
        let preset = if let Preset::Int(preset) = key.preset { preset } else { 0 };
        match found {
            Some(Found { value: Value::Int(0), .. }) if key.zero == Zero::Default => preset,
            Some(Found { value: Value::Int(value), .. }) => *value,
            _ => preset,
        }
    }

    /// A number that the schema keeps within `u32`.
    pub(super) fn int_u32(&self, name: &str) -> u32 {
        u32::try_from(self.int(name)).expect("the schema's range lies within u32")
    }

    /// A number that the schema keeps small and positive.
    pub(super) fn count(&self, name: &str) -> usize {
        usize::try_from(self.int(name)).expect("the schema's range lies within usize")
    }

    /// A duration that the schema keeps within `u32` milliseconds.
    pub(super) fn ms(&self, name: &str) -> u32 {
        let factor = if self.found(name).0.unit == "s" { 1_000 } else { 1 };
        u32::try_from(self.int(name) * factor).expect("the schema's range lies within u32 milliseconds")
    }

    /// A yes or no, or its default.
    pub(super) fn flag(&self, name: &str) -> bool {
        match self.found(name) {
            (_, Some(Found { value: Value::Bool(value), .. })) => *value,
            (key, _) => key.preset == Preset::Bool(true),
        }
    }

    /// The items of a list, as written and trimmed. An empty text has none.
    pub(super) fn items(&self, source: &Source, name: &str) -> Vec<Item> {
        match self.found(name).1 {
            Some(Found { value: Value::List(items), .. }) => items.clone(),
            Some(Found { value: Value::Text(text), span }) => split(source, text, span),
            _ => Vec::new(),
        }
    }

    fn list(&self, name: &str) -> &[Section] {
        let index = self.table.tables.iter().position(|table| table.name == name);
        &self.sections[index.expect("compile asks for tables of the schema")]
    }

    /// A table that stands once; absent it holds the defaults.
    pub(super) fn one(&self, name: &str) -> &Section {
        &self.list(name)[0]
    }

    /// A table that stands any number of times.
    pub(super) fn many(&self, name: &str) -> &[Section] {
        self.list(name)
    }
}

fn split(source: &Source, text: &str, span: &Range<usize>) -> Vec<Item> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut start = 0;
    let items = text.split(',').map(|piece| {
        let offset = start + (piece.len() - piece.trim_start().len());
        start += piece.len() + 1;
        Item { text: piece.trim().to_owned(), at: source.inside(span, text, offset) }
    });
    items.collect()
}

/// Reads one file. Its faults are added; what could be read is returned.
pub(super) fn read(file: &'static File, source: &Source, faults: &mut Faults) -> Section {
    let (root, syntax) = DeTable::parse_recoverable(&source.text);
    let quiet = !file.status.is_live();
    let mut reader =
        Reader { file, source, faults, silent: Vec::new(), broken: !syntax.is_empty(), quiet, unused: Vec::new() };
    for error in &syntax {
        let at = error.span().map_or(0, |span| span.start);
        reader.broken_lines(error.span().unwrap_or(0..0));
        reader.faults.error(source, at, error.message(), "");
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
                section.values[index] = self.value(key, value);
            } else if let Some(index) = table.tables.iter().position(|table| table.name == name.get_ref()) {
                let table = &table.tables[index];
                let path = table.path(path);
                let at = if value.span().is_empty() { name.span().start } else { value.span().start };
                self.note_unused(table.status, at, || header(table, &path));
                let outer = self.quiet;
                self.quiet |= !table.status.is_live();
                section.sections[index] = self.sections(table, &path, at, value.get_ref());
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
        if table.shape == Shape::One { vec![Section::absent(table, at)] } else { Vec::new() }
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
            (kind, other) => {
                self.wrong(span.start, key.name, kind_of(kind), other);
                None
            }
        };
        checked.map(|value| Found { value, span })
    }

    fn wrong(&mut self, at: usize, name: &str, wanted: &str, found: &DeValue<'_>) {
        let help = match (wanted, found) {
            ("a list of texts", DeValue::String(_)) => "write [\"first\", \"second\"]",
            ("a text", DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_)) => "put it in quotes",
            ("a text, its items divided by commas", DeValue::Array(_)) => "write \"first,second\"",
            ("a whole number" | "true or false", DeValue::String(_)) => "write it without quotes",
            _ => "",
        };
        self.error(at, format!("`{name}` must be {wanted}, not {}", type_of(found)), help);
    }

    fn text(&mut self, key: &Key, text: &str, at: usize) -> Option<Value> {
        if key.preset == Preset::Required && text.trim().is_empty() {
            self.error(at, format!("`{}` is empty", key.name), format!("for example {}", example(key)));
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
        self.error(at, format!("`{}` has no meaning \"{text}\"", key.name), help);
        None
    }

    fn list(&mut self, key: &Key, array: &toml::de::DeArray<'_>) -> Option<Value> {
        let mut items = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.get_ref() {
                DeValue::String(text) => {
                    let at = self.source.inside(&item.span(), text, 0);
                    items.push(Item { text: text.trim().to_owned(), at });
                }
                other => self.wrong(item.span().start, &format!("an item of {}", key.name), "a text", other),
            }
        }
        Some(Value::List(items))
    }

    fn int(&mut self, key: &Key, min: i64, max: i64, int: Option<i64>, at: usize) -> Option<Value> {
        match int {
            Some(value) if (min..=max).contains(&value) => Some(Value::Int(value)),
            Some(0) if key.zero != Zero::Number => Some(Value::Int(0)),
            _ => {
                let help = if key.unit.is_empty() { String::new() } else { format!("the unit is {}", unit(key.unit)) };
                self.error(at, format!("`{}` must be {}", key.name, range(key, min, max)), help);
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
                self.error(at, message, format!("for example {}", example(key)));
            }
        }
        for child in table.tables {
            if child.required && !found.contains_key(child.name) {
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
    format!("{} = \"{}\"", key.name, key.example)
}

fn header(table: &Table, path: &str) -> String {
    if table.shape == Shape::Many { format!("[[{path}]]") } else { format!("[{path}]") }
}

fn unit(unit: &'static str) -> &'static str {
    match unit {
        "s" => "seconds",
        "ms" => "milliseconds",
        "exponent" => "a power of two: 16 means 65,536 bytes",
        other => other,
    }
}

fn range(key: &Key, min: i64, max: i64) -> String {
    let zero = if key.zero == Zero::Number { "" } else { "0 or " };
    match (min, max) {
        (min, i64::MAX) => format!("{zero}{min} or more"),
        (min, max) => format!("{zero}{min} to {max}"),
    }
}

fn kind_of(kind: Kind) -> &'static str {
    match kind {
        Kind::Text | Kind::Word(_) => "a text",
        Kind::Commas => "a text, its items divided by commas",
        Kind::List => "a list of texts",
        Kind::Int(..) => "a whole number",
        Kind::Bool => "true or false",
    }
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
