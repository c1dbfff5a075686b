//! No end is without its test.

use std::path::Path;

use gatekeeper::end::End;

#[test]
fn every_end_has_a_test_of_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mine: String =
        ["access", "client", "gateway", "service"].map(|name| read(&format!("tests/e2e/ends/{name}.rs"))).concat();
    let is_test = |source: &str, name: &str| source.contains(&format!("#[test]\nfn {name}()"));
    let missing: Vec<_> = End::ALL
        .iter()
        .map(|end| end.code())
        .filter(|code| !is_test(&mine, &code.replace("loop", "loop_")) && !is_test(&mine, code))
        .collect();
    assert!(missing.is_empty(), "ends without a test: {missing:?}");
}
