//! The files of tests/corpus, in the format that src/proto/cases.rs defines: `== name: verdict` begins a case, `#` a
//! comment, and the lines after it, joined, are its bytes with `\r`, `\n`, `\t`, `\\` and `\xHH`.

use std::path::Path;
use std::{fs, io};

/// One message and its right verdict.
pub(crate) struct Case {
    /// `file/name`.
    pub(crate) name: String,
    /// The message.
    pub(crate) bytes: Vec<u8>,
    /// An `End`, `incomplete`, or what the message is.
    pub(crate) expected: String,
}

/// The cases of a folder, file after file.
///
/// # Errors
///
/// When a file cannot be read or is not in the format.
pub(crate) fn read(folder: &Path) -> io::Result<Vec<Case>> {
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    let mut cases: Vec<Case> = Vec::new();
    for path in paths {
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        for line in fs::read_to_string(&path)?.lines().filter(|line| !line.starts_with('#')) {
            if let Some((name, expected)) = line.strip_prefix("== ").and_then(|title| title.split_once(": ")) {
                let name = format!("{file}/{name}");
                cases.push(Case { name, bytes: Vec::new(), expected: expected.to_owned() });
            } else if let Some(case) = cases.last_mut() {
                unescape(line, &mut case.bytes).ok_or_else(|| io::Error::other(format!("{}: {line}", case.name)))?;
            }
        }
    }
    Ok(cases)
}

fn unescape(line: &str, out: &mut Vec<u8>) -> Option<()> {
    let mut rest = line.as_bytes();
    while let [byte, after @ ..] = rest {
        (rest, _) = match (byte, after) {
            (b'\\', [b'r', after @ ..]) => (after, out.push(b'\r')),
            (b'\\', [b'n', after @ ..]) => (after, out.push(b'\n')),
            (b'\\', [b't', after @ ..]) => (after, out.push(b'\t')),
            (b'\\', [b'\\', after @ ..]) => (after, out.push(b'\\')),
            (b'\\', [b'x', high, low, after @ ..]) => {
                let digits = [*high, *low];
                (after, out.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?))
            }
            (b'\\', _) => return None,
            (byte, after) => (after, out.push(*byte)),
        };
    }
    Some(())
}
