//! What one table of a file says, with the schema's defaults for what it does not.
//!
//! In scope: looking values up by key, with their places. Out of scope: how they were read (`read`), what
//! they mean (`compile`).

use std::cell::OnceCell;
use std::ops::Range;

use super::schema::{Key, Preset, Table, Zero};
use super::source::Source;

/// A value that has the type and range its key demands.
#[derive(Clone, Debug)]
pub(super) enum Value {
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

/// A value and where it stands.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) value: Value,
    pub(super) span: Range<usize>,
}

/// One table of a file: what it says, and the schema's defaults for what it does not. A file of thousands of modules says
/// little of what it could in each, so what it does not say takes no room.
#[derive(Debug)]
pub(super) struct Section {
    table: &'static Table,
    /// Where it stands; where its parent stands if it is absent.
    pub(super) at: usize,
    /// What is given, by the key's place among those of the table.
    values: Vec<(usize, Found)>,
    /// The tables that are given, by their place among those of the table.
    sections: Vec<(usize, Vec<Section>)>,
    /// Those that are not and stand once, made where one is asked for: one for each table, in order.
    absent: OnceCell<Box<[Section]>>,
    /// What stands in a table that the schema leaves free.
    free: Option<Box<toml::Table>>,
}

impl Section {
    /// The section of a table that no file has.
    pub(super) fn absent(table: &'static Table, at: usize) -> Self {
        Section { table, at, values: Vec::new(), sections: Vec::new(), absent: OnceCell::new(), free: None }
    }

    /// The file gives the key at this place of the table.
    pub(super) fn give(&mut self, key: usize, found: Found) {
        self.values.push((key, found));
    }

    /// The file gives the table at this place of the table: so many times.
    pub(super) fn give_tables(&mut self, table: usize, given: Vec<Section>) {
        self.sections.push((table, given));
    }

    /// The file says this in a table that the schema leaves free.
    pub(super) fn give_free(&mut self, said: toml::Table) {
        self.free = Some(Box::new(said));
    }

    /// What the file says in a table that the schema leaves free.
    pub(super) fn free(&self) -> toml::Table {
        self.free.as_deref().cloned().unwrap_or_default()
    }

    fn index(&self, name: &str) -> usize {
        let index = self.table.keys.iter().position(|key| key.name == name);
        index.expect("compile asks for keys of the schema; the test of every live key reads them all")
    }

    fn found(&self, name: &str) -> (&'static Key, Option<&Found>) {
        let index = self.index(name);
        let given = self.values.iter().find(|(key, _)| *key == index);
        (&self.table.keys[index], given.map(|(_, found)| found))
    }

    /// Whether the file gives the key a value that could be taken.
    pub(super) fn gives(&self, name: &str) -> bool {
        self.found(name).1.is_some()
    }

    /// Whether the file gives any key of the table a value.
    pub(super) fn gives_any(&self) -> bool {
        !self.values.is_empty()
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

    /// A part of a whole in millionths, or its default.
    pub(super) fn millionths(&self, name: &str) -> u32 {
        match self.found(name) {
            (_, Some(Found { value: Value::Int(value), .. })) => u32::try_from(*value).unwrap_or(0),
            (Key { preset: Preset::Millionths(millionths), .. }, _) => *millionths,
            _ => 0,
        }
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

    fn list(&self, name: &str) -> (usize, &[Section]) {
        let index = self.table.tables.iter().position(|table| table.name == name);
        let index = index.expect("compile asks for tables of the schema");
        let given = self.sections.iter().find(|(table, _)| *table == index);
        (index, given.map_or(&[], |(_, given)| given))
    }

    /// A table that stands once; absent it holds the defaults.
    pub(super) fn one(&self, name: &str) -> &Section {
        let (index, given) = self.list(name);
        let absent = || self.table.tables.iter().map(|table| Section::absent(table, self.at)).collect();
        given.first().unwrap_or_else(|| &self.absent.get_or_init(absent)[index])
    }

    /// A table that stands any number of times.
    pub(super) fn many(&self, name: &str) -> &[Section] {
        self.list(name).1
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
