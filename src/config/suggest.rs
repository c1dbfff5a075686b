//! "Did you mean": the nearest known name, if it is near.

use super::schema::{FILES, File, Table};

/// Help for a word that is not among the known ones.
pub(super) fn among<'w>(found: &str, known: impl Iterator<Item = &'w str>) -> Option<String> {
    nearest(found, known).map(did_you_mean)
}

/// Help for a key or a table that its table does not have: this table's own that are like it, or the one other table that
/// has it, in this file or another.
pub(super) fn key(file: &'static File, table: &'static Table, found: &str) -> Option<String> {
    let lower = found.to_lowercase();
    if TLS.iter().any(|word| lower.starts_with(word)) {
        return Some("TLS is not served: put a TLS terminator in front (docs/behind-tls.md)".to_owned());
    }
    let own = || table.keys.iter().map(|key| key.name).chain(table.tables.iter().map(|table| table.name));
    nearest(found, own())
        .map(did_you_mean)
        .or_else(|| containing(&lower, own()))
        .or_else(|| elsewhere(file, table, found))
}

/// What names of keys begin with that ask for TLS.
const TLS: [&str; 3] = ["tls", "ssl", "https"];

/// Names of which the word is a part, such as `read_timeout` for `timeout`.
fn containing<'w>(word: &str, names: impl Iterator<Item = &'w str>) -> Option<String> {
    let names: Vec<_> = names.filter(|name| name.split('_').any(|part| part == word)).collect();
    match &names[..] {
        [] => None,
        [name] => Some(did_you_mean(name)),
        several => {
            let quoted: Vec<_> = several.iter().map(|name| format!("`{name}`")).collect();
            Some(format!("did you mean one of {}?", quoted.join(", ")))
        }
    }
}

/// The place where it would be known, if there is but one: a table of another file at its root, or a table that has the
/// key, in this file before others.
fn elsewhere(file: &'static File, table: &'static Table, found: &str) -> Option<String> {
    let others = || FILES.iter().filter(|other| other.status.is_live() && other.name != file.name);
    if table.name == file.name {
        let named = |other: &&File| other.tables.iter().any(|table| table.name == found);
        if let Some(other) = others().find(named) {
            return Some(format!("it belongs in {}", other.name));
        }
    }
    let mut here = Vec::new();
    owners(file, "", found, &mut here);
    match &here[..] {
        [] => {}
        [place] => return Some(format!("it belongs in {place}")),
        _ => return None,
    }
    let mut there = Vec::new();
    for other in others() {
        let mut places = Vec::new();
        owners(other, "", found, &mut places);
        there.extend(places.into_iter().map(|place| format!("{place} of {}", other.name)));
    }
    if let [place] = &there[..] { Some(format!("it belongs in {place}")) } else { None }
}

fn owners(table: &'static Table, path: &str, found: &str, places: &mut Vec<String>) {
    for child in table.tables {
        if child.keys.iter().any(|key| key.name == found) {
            places.push(child.header(path));
        }
        owners(child, &child.path(path), found, places);
    }
}

fn did_you_mean(name: &str) -> String {
    format!("did you mean `{name}`?")
}

/// Near is: no more than a third of the letters differ.
fn nearest<'w>(found: &str, known: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let found = found.to_lowercase();
    known
        .map(|name| (strsim::damerau_levenshtein(&found, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance * 3 <= name.chars().count().max(3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema::{BASE_FILE, MODULE_FILE};

    fn told(file: &'static File, path: &[&str], found: &str) -> String {
        let inside = |table: &'static Table, name: &&str| table.tables.iter().find(|child| child.name == *name);
        let table = path.iter().try_fold(file, inside).expect("a table of the file");
        key(file, table, found).unwrap_or_default()
    }

    #[test]
    fn a_word_of_the_tables_own_keys_comes_before_the_keys_of_others() {
        let told = |found| told(&BASE_FILE, &["http"], found);
        assert!(told("timeout").starts_with("did you mean one of `") && told("timeout").contains("`read_timeout`"));
        assert_eq!(told("watch"), "it belongs in [base]");
    }

    #[test]
    fn a_table_of_another_file_is_told_with_its_file() {
        for table in ["http", "base", "admin"] {
            assert_eq!(told(&MODULE_FILE, &[], table), "it belongs in base.toml");
        }
        assert_eq!(told(&MODULE_FILE, &["module", "base"], "drain_window"), "it belongs in [base] of base.toml");
        assert_eq!(told(&BASE_FILE, &[], "authirized_apps"), "it belongs in app.toml");
    }

    #[test]
    fn whoever_looks_for_tls_is_told_that_there_is_none() {
        for found in ["tls", "ssl_certificate", "https", "TLS_key"] {
            assert!(told(&BASE_FILE, &["http"], found).starts_with("TLS is not served"), "{found}");
            assert!(told(&MODULE_FILE, &[], found).starts_with("TLS is not served"), "{found}");
        }
    }

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        let known = ["weight_list", "forbid_list", "rise"];
        assert_eq!(nearest("wieght_list", known.into_iter()), Some("weight_list"));
        assert_eq!(nearest("Weight_List", known.into_iter()), Some("weight_list"));
        assert_eq!(nearest("rse", known.into_iter()), Some("rise"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
