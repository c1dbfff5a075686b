//! No end is without its test.

use std::path::Path;

use gatekeeper::end::End;

/// Ends that no client can provoke in bounded time, and the test that stands for it.
const ELSEWHERE: &[(&str, &str, &str)] =
    // A quarter of a million keys below a full bucket at once need as many clients within a second.
    &[("rate_table_full", "src/wall/rate/tests.rs", "a_key_without_a_place_is_refused_and_evicts_nobody")];

#[test]
fn every_end_has_a_test_of_its_name() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let mine: String = ["client", "gateway", "service"].map(|name| read(&format!("tests/e2e/ends/{name}.rs"))).concat();
    let is_test = |source: &str, name: &str| source.contains(&format!("#[test]\nfn {name}()"));
    let missing: Vec<_> = End::ALL
        .iter()
        .map(|end| end.code())
        .filter(|code| {
            let elsewhere = ELSEWHERE.iter().find(|(name, _, _)| name == code);
            match elsewhere {
                Some((_, path, test)) => !read(path).contains(&format!("fn {test}()")),
                None => !is_test(&mine, &code.replace("loop", "loop_")) && !is_test(&mine, code),
            }
        })
        .collect();
    assert!(missing.is_empty(), "ends without a test: {missing:?}");
}
