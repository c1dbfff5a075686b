//! docs/security.md keeps its word: every attack has its row, and every test that a row names is there.

use std::path::{Path, PathBuf};

/// Attacks are numbered from 1 to this.
const ROWS: u32 = 59;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/security.md")).expect("the page")
}

/// The cells of every line of a table that is not its header.
fn rows(page: &str) -> Vec<Vec<&str>> {
    page.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split(" | ").map(str::trim).collect())
        .filter(|row: &Vec<_>| row.last() != Some(&"held by"))
        .collect()
}

#[test]
fn every_attack_has_one_row() {
    let page = page();
    let numbers: Vec<u32> = rows(&page).iter().filter_map(|row| row[0].parse().ok()).collect();
    assert_eq!(numbers, (1..=ROWS).collect::<Vec<_>>());
}

#[test]
fn every_test_that_a_row_names_is_there() {
    let page = page();
    let mut faults = Vec::new();
    for row in rows(&page) {
        let held_by = row.last().copied().unwrap_or_default();
        let mut source: Option<(PathBuf, String)> = None;
        let mut tests = 0;
        for name in held_by.split('`').skip(1).step_by(2) {
            if name.ends_with(".rs") {
                let path = root().join("tests/e2e").join(name);
                let text = std::fs::read_to_string(&path).unwrap_or_default();
                source = Some((path, text));
                continue;
            }
            tests += 1;
            let there = source.as_ref().is_some_and(|(_, text)| text.contains(&format!("#[test]\nfn {name}()")));
            if !there {
                faults.push(format!("{}: no test `{name}` in {:?}", row[0], source.as_ref().map(|(path, _)| path)));
            }
        }
        if tests == 0 {
            faults.push(format!("{}: no test holds it", row[0]));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
