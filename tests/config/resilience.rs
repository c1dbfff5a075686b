//! The examples of docs/resilience.md load without a fault.

use std::path::Path;

use super::load_files;

/// The blocks of TOML of a page.
fn blocks(page: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page);
    let text = std::fs::read_to_string(&path).expect("the page");
    text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_examples_of_resilience_load() {
    let blocks = blocks("resilience.md");
    assert_eq!(blocks.len(), 5);
    for block in blocks {
        let loaded = load_files(&[("module.toml", &block)]).unwrap_or_else(|faults| panic!("{faults:#?}\n{block}"));
        assert!(loaded.warnings.is_empty(), "{:#?}\n{block}", loaded.warnings);
    }
}
