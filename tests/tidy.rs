//! Style as a test: reads every source file and lists every offence, with what to do instead.
//!
//! In scope: what a reader of lines can tell: purposes, sizes, the arrows between rooms, where `unsafe`
//! stands, words that promise work. Out of scope: what rustfmt and clippy hold.

use std::path::{Path, PathBuf};

/// Lines of a file, its tests included.
const FILE_LINES_MAX: usize = 600;
/// Lines of a function outside tests, signature and closing brace included.
const FUNCTION_LINES_MAX: usize = 70;

/// The only files where `unsafe` may stand, each block with its SAFETY comment.
const UNSAFE_FILES: &[&str] = &[
    "src/inherited.rs",
    "src/wall/slot/mapping.rs",
    "src/worker/io/epoll.rs",
    "src/worker/io/open.rs",
    "src/worker/runtime/provided.rs",
    "src/worker/runtime/ring.rs",
    "src/worker/runtime/tasks.rs",
    "tests/allocations.rs",
    "tests/e2e/driver/mod.rs",
    "tests/e2e/driver/seccomp.rs",
];

/// Each room, and what it may name with `crate::`. `run`, `cli`, `gateway`, `main`, `lib` and `inherited` may see all.
const ROOMS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("ids", &[]),
    ("end", &["limits", "ids"]),
    ("proto", &["limits", "ids", "end"]),
    ("filter", &["limits", "ids", "end", "proto"]),
    ("wall", &["limits", "ids", "end", "proto", "filter"]),
    ("worker", &["limits", "ids", "end", "proto", "filter", "wall"]),
    ("config", &["limits", "ids", "end", "proto", "filter", "wall"]),
    ("control", &["limits", "ids", "end", "proto", "wall", "config"]),
];

/// Words that promise work instead of doing it.
const PROMISES: &[&str] = &["TODO", "FIXME", "XXX", "HACK"];

/// Everything of ours in Rust.
const EVERYWHERE: &[&str] = &["src", "tests", "bench", "tools", "fuzz", "examples"];

/// A file of Rust, with its path from the root.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// Whether the whole file is tests.
    fn is_test(&self) -> bool {
        self.path.starts_with("tests/") || self.path.contains("/tests/") || self.path.ends_with("/tests.rs")
    }

    /// Lines with their numbers, without comments and without the tests at the end.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        // Whatever else is for tests alone has code after it, `mod tests;` among it.
        let end = self.text.find("#[cfg(test)]\nmod tests {").unwrap_or(self.text.len());
        let all = self.text[..end].lines().enumerate().map(|(index, line)| (index + 1, line));
        all.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn at(&self, line: usize, what: impl std::fmt::Display) -> String {
        format!("{}:{line}: {what}", self.path)
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() && !path.ends_with("target") {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let path = path.strip_prefix(root()).expect("below the root").display().to_string();
            found.push(Source { path, text });
        }
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&root().join(folder), &mut found);
    }
    found
}

/// Fails with every offence at once.
#[track_caller]
fn none(offences: &[String]) {
    assert!(offences.is_empty(), "{} offences:\n{}", offences.len(), offences.join("\n"));
}

#[test]
fn every_file_opens_with_its_purpose() {
    let bare = |source: &Source| !source.text.starts_with("//! ");
    let told = "open the file with `//!`: what is in scope and what is not";
    let offences: Vec<_> =
        sources(EVERYWHERE).iter().filter(|source| bare(source)).map(|source| source.at(1, told)).collect();
    none(&offences);
}

#[test]
fn no_file_is_too_long() {
    let mut offences = Vec::new();
    for source in sources(EVERYWHERE) {
        let lines = source.text.lines().count();
        if lines > FILE_LINES_MAX {
            offences.push(source.at(lines, format!("{lines} lines: split it; {FILE_LINES_MAX} at most")));
        }
    }
    none(&offences);
}

/// Whether a line begins a function that has a body; rustfmt puts the body's end at the same indent.
fn begins_function(line: &str) -> bool {
    let words = line.trim_start();
    let seen = words.strip_prefix("pub(").and_then(|rest| rest.split_once(") ")).map_or(words, |(_, rest)| rest);
    let signature =
        ["pub ", "const ", "async ", "unsafe "].iter().fold(seen, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    signature.starts_with("fn ") && !line.ends_with(';') && !line.ends_with('}')
}

#[test]
fn no_function_is_too_long() {
    let mut offences = Vec::new();
    for source in sources(EVERYWHERE).iter().filter(|source| !source.is_test()) {
        let mut begun: Option<(usize, &str, usize)> = None;
        for (number, line) in source.code() {
            let indent = line.len() - line.trim_start().len();
            match begun {
                None if begins_function(line) => begun = Some((number, line.trim(), indent)),
                Some((first, signature, outer)) if indent == outer && line.trim_start().starts_with('}') => {
                    let lines = number - first + 1;
                    if lines > FUNCTION_LINES_MAX {
                        let told = format!("{lines} lines: split it; {FUNCTION_LINES_MAX} at most: {signature}");
                        offences.push(source.at(first, told));
                    }
                    begun = None;
                }
                _ => {}
            }
        }
    }
    none(&offences);
}

/// The first names behind every `crate::` of a line: one, or those between braces.
fn named_rooms(line: &str) -> Vec<&str> {
    let mut names = Vec::new();
    for after in line.split("crate::").skip(1) {
        let list = after.strip_prefix('{').and_then(|rest| rest.split('}').next()).unwrap_or(after);
        let all = if after.starts_with('{') { list.split(',').collect() } else { vec![list] };
        names.extend(all.into_iter().map(|name| {
            let name = name.trim();
            &name[..name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(name.len())]
        }));
    }
    names
}

#[test]
fn the_arrows_between_rooms_are_kept() {
    let mut offences = Vec::new();
    for source in sources(&["src"]).iter().filter(|source| !source.is_test()) {
        let inside = source.path.trim_start_matches("src/");
        let room = inside.split(['/', '.']).next().unwrap_or_default();
        let Some((_, seen)) = ROOMS.iter().find(|(name, _)| *name == room) else { continue };
        for (number, line) in source.code() {
            for name in named_rooms(line).into_iter().filter(|name| *name != room && !seen.contains(name)) {
                let told = format!("`{room}` may not see `{name}`: move what both need to a room that both may see");
                offences.push(source.at(number, told));
            }
        }
    }
    none(&offences);
}

#[test]
fn every_room_of_the_source_has_its_arrows() {
    let everywhere = ["run", "cli", "gateway", "main", "lib", "inherited"];
    let mut offences = Vec::new();
    for entry in std::fs::read_dir(root().join("src")).expect("a folder").flatten() {
        let name = entry.file_name().to_string_lossy().trim_end_matches(".rs").to_owned();
        if !everywhere.contains(&name.as_str()) && !ROOMS.iter().any(|(room, _)| *room == name) {
            offences.push(format!("src/{name}: a room without arrows: say in tests/tidy.rs what it may see"));
        }
    }
    none(&offences);
}

#[test]
fn unsafe_stands_only_where_it_may() {
    let mut offences = Vec::new();
    for source in sources(&["src", "tests"]) {
        if UNSAFE_FILES.contains(&source.path.as_str()) || source.path == "tests/tidy.rs" {
            continue;
        }
        for (number, line) in source.text.lines().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"].iter().any(|word| code.contains(word)) {
                offences.push(source.at(number + 1, "`unsafe` in a file that is not on the list of tests/tidy.rs"));
            }
        }
    }
    none(&offences);
}

#[test]
fn files_that_may_hold_unsafe_do() {
    let all = sources(&["src", "tests"]);
    let holds = |path: &str| all.iter().any(|source| source.path == path && source.text.contains("unsafe "));
    let offences: Vec<_> = UNSAFE_FILES
        .iter()
        .filter(|path| !holds(path))
        .map(|path| format!("{path} holds no `unsafe`: take it off the list"))
        .collect();
    none(&offences);
}

#[test]
fn nothing_is_promised_in_comments() {
    let mut offences = Vec::new();
    for source in sources(EVERYWHERE).iter().filter(|source| source.path != "tests/tidy.rs") {
        for (number, line) in source.text.lines().enumerate() {
            let promise = PROMISES
                .iter()
                .find(|word| line.split(|letter: char| !letter.is_ascii_alphanumeric()).any(|part| part == **word));
            if let Some(word) = promise {
                offences.push(source.at(number + 1, format!("{word}: do it, or write an issue")));
            }
        }
    }
    none(&offences);
}

#[test]
fn every_test_can_fail() {
    // A test without an assertion, an expectation or a call that holds one proves nothing; what is left to
    // tell by lines is the one that is empty or ignored.
    let mut offences = Vec::new();
    for source in sources(EVERYWHERE).iter().filter(|source| source.path != "tests/tidy.rs") {
        let lines: Vec<_> = source.text.lines().collect();
        for (index, pair) in lines.windows(2).enumerate() {
            let ignored = pair[0].trim() == "#[test]" && pair[1].trim().starts_with("#[ignore");
            let empty = pair[0].trim() == "#[test]" && pair[1].trim().ends_with("() {}");
            if ignored || empty {
                offences.push(source.at(index + 1, "a test that cannot fail: give it work or remove it"));
            }
        }
    }
    none(&offences);
}
