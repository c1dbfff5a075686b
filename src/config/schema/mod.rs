//! The one table of every key of every file: name, type, default, unit, range, status and meaning.
//!
//! In scope: what a key is. Everything else asks here: `read` (is this key known, is its value
//! allowed, what if it is absent), `reference` (the documents) and the test that changes each live key
//! and expects another result. Out of scope: what a value does (`compile`).
//! **No default stands anywhere else in the program.**

mod app;
mod base;
mod filters;
mod logs;
mod module;
mod other;
mod resilience;
mod routing;
mod shaping;
mod tokens;
mod trace;

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// Text: items divided by commas, spaces around them ignored.
    Commas,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A TOML array of strings.
    List,
    /// A whole number of this range, both ends included.
    Int(i64, i64),
    /// `true` or `false`.
    Bool,
    /// A part of a whole, from 0 to 1, kept in millionths.
    Share,
}

/// What holds where a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// The key must be given.
    Required,
    /// This text.
    Text(&'static str),
    /// This number.
    Int(i64),
    /// This answer.
    Bool(bool),
    /// This many millionths.
    Millionths(u32),
    /// No item.
    Empty,
}

/// What 0 means, for numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// A number like any other, allowed if the range has it.
    Number,
    /// Allowed beside the range, and means this.
    Means(&'static str),
    /// Allowed beside the range; the default holds.
    Default,
}

/// Whether a key or table has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// GateKeeper's, and has an effect here.
    Live,
    /// Not GateKeeper's; has an effect here.
    New,
    /// For people only; silent.
    Label,
    /// Read and checked, in force once its feature is built; what cannot be enforced is said at load.
    Later(&'static str),
    /// Known and without effect, for this reason: a warning.
    Ignored(&'static str),
    /// Of an older GateKeeper, without effect: a warning that says what to write instead.
    Obsolete(&'static str),
}

impl Status {
    /// Whether a value changes what is loaded.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Status::Live | Status::New)
    }
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What holds where it is absent.
    pub preset: Preset,
    /// Unit of a number; may be empty.
    pub unit: &'static str,
    /// What 0 means.
    pub zero: Zero,
    /// Whether it has an effect.
    pub status: Status,
    /// A value other than the default, for the documents and the effect test; empty where one follows
    /// from the kind.
    pub example: &'static str,
    /// One paragraph.
    pub doc: &'static str,
}

impl Key {
    const fn of(name: &'static str, kind: Kind, preset: Preset, doc: &'static str) -> Self {
        Key { name, kind, preset, unit: "", zero: Zero::Number, status: Status::Live, example: "", doc }
    }

    const fn required(mut self) -> Self {
        self.preset = Preset::Required;
        self
    }

    const fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    const fn zero(mut self, zero: Zero) -> Self {
        self.zero = zero;
        self
    }

    const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }

    const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    const fn ours(self) -> Self {
        self.status(Status::New)
    }

    const fn ignored(self, why: &'static str) -> Self {
        self.status(Status::Ignored(why))
    }
}

const fn text(name: &'static str, default: &'static str, doc: &'static str) -> Key {
    Key::of(name, Kind::Text, Preset::Text(default), doc)
}

const fn commas(name: &'static str, doc: &'static str) -> Key {
    Key::of(name, Kind::Commas, Preset::Text(""), doc)
}

const fn word(name: &'static str, words: &'static [&'static str], default: &'static str, doc: &'static str) -> Key {
    Key::of(name, Kind::Word(words), Preset::Text(default), doc)
}

const fn list(name: &'static str, doc: &'static str) -> Key {
    Key::of(name, Kind::List, Preset::Empty, doc)
}

const fn int(name: &'static str, min: i64, max: i64, default: i64, doc: &'static str) -> Key {
    Key::of(name, Kind::Int(min, max), Preset::Int(default), doc)
}

const fn flag(name: &'static str, default: bool, doc: &'static str) -> Key {
    Key::of(name, Kind::Bool, Preset::Bool(default), doc)
}

const fn share(name: &'static str, millionths: u32, doc: &'static str) -> Key {
    Key::of(name, Kind::Share, Preset::Millionths(millionths), doc)
}

/// How often a table may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `[name]`, once.
    One,
    /// `[[name]]`, any number of times.
    Many,
    /// `[name.X]`, once for each X of the user's choice.
    Named,
    /// `[name]`, once; what is in it is not the schema's to say.
    Free,
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its last name.
    pub name: &'static str,
    /// How often it may stand.
    pub shape: Shape,
    /// It must be there (`Many`: at least once).
    pub required: bool,
    /// Whether it has an effect.
    pub status: Status,
    /// One paragraph.
    pub doc: &'static str,
    /// Its keys.
    pub keys: &'static [Key],
    /// Tables inside it.
    pub tables: &'static [Table],
}

impl Table {
    const fn one(name: &'static str, keys: &'static [Key], doc: &'static str) -> Self {
        Table { name, shape: Shape::One, required: false, status: Status::Live, doc, keys, tables: &[] }
    }

    const fn many(self) -> Self {
        self.shape(Shape::Many)
    }

    const fn shape(mut self, shape: Shape) -> Self {
        self.shape = shape;
        self
    }

    const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    const fn tables(mut self, tables: &'static [Table]) -> Self {
        self.tables = tables;
        self
    }

    /// The header of this table, given the path of the table it stands in.
    #[must_use]
    pub fn header(&self, parent: &str) -> String {
        match self.shape {
            Shape::One | Shape::Free => format!("[{}]", self.path(parent)),
            Shape::Many => format!("[[{}]]", self.path(parent)),
            Shape::Named => format!("[{}.NAME]", self.path(parent)),
        }
    }

    /// The dotted path of this table, given the path of the table it stands in.
    #[must_use]
    pub fn path(&self, parent: &str) -> String {
        if parent.is_empty() { self.name.to_owned() } else { format!("{parent}.{}", self.name) }
    }
}

/// One file: its whole content as a table whose name is the file's.
pub type File = Table;

/// Every file, in the order they are documented.
pub static FILES: &[File] = &[MODULE_FILE, BASE_FILE, APP_FILE, ADMIN_FILE, MYSQL_FILE, REDIS_FILE];

/// The services; the file that the command line names.
pub const MODULE_FILE: File = module::FILE;
/// The process, the listener and what holds for every service.
pub const BASE_FILE: File = base::FILE;
/// Where the admin listener is unless the files say otherwise.
pub const ADMIN_ADDR: &str = base::ADMIN_ADDR;
/// The tenants.
pub const APP_FILE: File = app::FILE;
/// The administrator of GateKeeper's pages.
pub const ADMIN_FILE: File = other::ADMIN_FILE;
/// GateKeeper's database.
pub const MYSQL_FILE: File = other::MYSQL_FILE;
/// GateKeeper's counters.
pub const REDIS_FILE: File = other::REDIS_FILE;
