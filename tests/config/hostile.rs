//! No text makes the loader fall over, and every place it names exists.

use proptest::prelude::*;

use super::{fixture, load_files};

fn text_of(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).expect("a fixture")
}

/// A file with one piece cut out and another one put in its place.
fn damaged(text: &str, cut: (usize, usize), put: &str) -> String {
    let floor = |at: usize| (0..=at % (text.len() + 1)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let (start, end) = (floor(cut.0), floor(cut.0.saturating_add(cut.1)));
    format!("{}{put}{}", &text[..start.min(end)], &text[end.max(start)..])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damage_is_told_with_a_place_that_exists(
        which in 0..3_usize,
        cut in (any::<u32>().prop_map(|at| at as usize), 0..40_usize),
        put in "[\\[\\]=\"#,.a0{}\\\\\n前 -]{0,6}",
    ) {
        let names = ["module.toml", "base.toml", "app.toml"];
        let mut texts = names.map(|name| text_of(&format!("gatekeeper/{name}")));
        texts[which] = damaged(&texts[which], cut, &put);
        let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
        let faults = load_files(&files).map_or_else(|faults| faults, |loaded| loaded.warnings);
        for fault in faults {
            let Some(file) = files.iter().find(|(name, _)| fault.file.ends_with(name)) else { continue };
            let line = file.1.split('\n').nth(fault.line.saturating_sub(1));
            let width = line.map(|line| line.chars().count());
            prop_assert!(width.is_some_and(|width| fault.column <= width + 1), "{fault:?}");
        }
    }
}

#[test]
fn another_kind_of_file_is_told_in_few_words() {
    let log = "2026-01-01 12:00:00 GET /x 200 \"agent\"\n".repeat(100_000);
    let faults = load_files(&[("module.toml", &log)]).expect_err("no configuration");
    assert!(faults.len() < 60, "{} faults", faults.len());
    assert!(faults.iter().any(|fault| fault.message.contains("not a TOML file")));
}
