//! One file's text and the list of what is wrong with it, with line and column.
//!
//! In scope: reading a file, turning byte offsets into lines and columns, collecting faults. Out of
//! scope: what the text means (`read`).

use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Fault;

/// Files are read whole; a larger one is a mistake, such as a log or a device.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The text of one file.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    line_starts: Vec<usize>,
}

impl Source {
    /// Reads a file; `None` and a fault where that fails.
    pub(super) fn open(path: &Path, faults: &mut Faults) -> Option<Self> {
        match read(path) {
            Ok(bytes) => Some(Self::decode(path, bytes, faults)),
            Err(message) => {
                let folder = path.is_dir().then(|| "name the module file in it, such as module.toml".to_owned());
                faults.whole(path, false, message, folder);
                None
            }
        }
    }

    /// Reads a file that a value of another names; `None` and a fault at that value where that fails.
    pub(super) fn open_named(path: &Path, by: &Source, at: usize, faults: &mut Faults) -> Option<Self> {
        match read(path) {
            Ok(bytes) => Some(Self::decode(path, bytes, faults)),
            Err(message) => {
                faults.error(by, at, format!("{} {message}", path.display()), "");
                None
            }
        }
    }

    fn decode(path: &Path, bytes: Vec<u8>, faults: &mut Faults) -> Self {
        let fault = String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), at)
        });
        match fault {
            Ok(text) => Self::new(path, text),
            Err((text, at)) => {
                let source = Self::new(path, text);
                faults.error(&source, at, "not UTF-8 from here on", "save the file as UTF-8");
                source
            }
        }
    }

    pub(super) fn new(path: &Path, text: String) -> Self {
        let newlines = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        let line_starts = std::iter::once(0).chain(newlines).collect();
        Self { path: path.to_path_buf(), text, line_starts }
    }

    /// Line and column of a byte, both counted from 1, the column in characters.
    pub(super) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = offset.min(self.text.len());
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        let before = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        (line, before + 1)
    }

    /// Where byte `offset` of a string value stands in the file. The value's first byte where escapes
    /// make the two differ.
    pub(super) fn inside(&self, span: &Range<usize>, value: &str, offset: usize) -> usize {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let quote = if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { 1 };
        let mut start = quote;
        if quote == 3 {
            let body = raw.get(3..).unwrap_or_default();
            start += if body.starts_with("\r\n") { 2 } else { usize::from(body.starts_with('\n')) };
        }
        let plain = raw.get(start..).is_some_and(|body| body.starts_with(value));
        if plain { span.start + start + offset.min(value.len()) } else { span.start }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let said = |error: std::io::Error| format!("cannot be read: {error}");
    let metadata = std::fs::metadata(path).map_err(said)?;
    if metadata.is_dir() {
        return Err("is a folder".into());
    }
    if metadata.len() > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read(path).map_err(said)
}

/// Everything found wrong, in the order found.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Fault>,
}

impl Faults {
    /// Something that stops the load. An empty `help` is none.
    pub(super) fn error<'t>(
        &mut self,
        source: &Source,
        offset: usize,
        message: impl Into<Cow<'t, str>>,
        help: impl Into<Cow<'t, str>>,
    ) {
        self.at(source, offset, false, message.into(), help.into());
    }

    /// Something worth saying that does not stop the load. An empty `help` is none.
    pub(super) fn warn<'t>(
        &mut self,
        source: &Source,
        offset: usize,
        message: impl Into<Cow<'t, str>>,
        help: impl Into<Cow<'t, str>>,
    ) {
        self.at(source, offset, true, message.into(), help.into());
    }

    /// Something about a whole file.
    pub(super) fn whole(&mut self, file: &Path, warning: bool, message: impl Into<String>, help: Option<String>) {
        self.found.push(Fault { warning, file: file.into(), line: 0, column: 0, message: message.into(), help });
    }

    fn at(&mut self, source: &Source, offset: usize, warning: bool, message: Cow<'_, str>, help: Cow<'_, str>) {
        let (line, column) = source.position(offset);
        let help = (!help.is_empty()).then(|| help.into_owned());
        self.found.push(Fault { warning, file: source.path.clone(), line, column, message: message.into(), help });
    }

    /// Whether anything stops the load.
    pub(super) fn any_error(&self) -> bool {
        self.found.iter().any(|fault| !fault.warning)
    }

    /// Every fault, file by file as first mentioned, each in order of place.
    pub(super) fn sorted(self, files: &[PathBuf]) -> Vec<Fault> {
        let mut found = self.found;
        let rank = |fault: &Fault| files.iter().position(|file| *file == fault.file).unwrap_or(files.len());
        found.sort_by_cached_key(|fault| (rank(fault), fault.line, fault.column, fault.warning));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_count_characters_not_bytes() {
        let source = Source::new(Path::new("f"), "a\n# 前 x\r\nlast".into());
        assert_eq!(source.position(0), (1, 1));
        assert_eq!(source.position(2), (2, 1));
        assert_eq!(source.position("a\n# 前 ".len()), (2, 5));
        assert_eq!(source.position(source.text.len()), (3, 5));
        assert_eq!(source.position(usize::MAX), (3, 5));
    }

    #[test]
    fn a_place_inside_a_string_is_found_where_the_text_is_plain() {
        let text = "k = \"ab,cd\"\nm = \"\"\"\nab,cd\"\"\"\ne = \"a\\u0062,cd\"";
        let source = Source::new(Path::new("f"), text.into());
        let place = |needle: &str| {
            let start = text.find(needle).expect("in the text");
            source.position(source.inside(&(start..start + needle.len()), "ab,cd", 3))
        };
        assert_eq!(place("\"ab,cd\""), (1, 9));
        assert_eq!(place("\"\"\"\nab,cd\"\"\""), (3, 4));
        assert_eq!(place("\"a\\u0062,cd\""), (4, 5));
    }
}
