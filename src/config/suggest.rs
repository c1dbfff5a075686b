//! "Did you mean": the nearest known name, if it is near.

use super::schema::{File, Table};

/// Help for a word that is not among the known ones.
pub(super) fn among<'w>(found: &str, known: impl Iterator<Item = &'w str>) -> Option<String> {
    nearest(found, known).map(|name| format!("did you mean `{name}`?"))
}

/// Help for a key that its table does not have: another table's, or the nearest of this one.
pub(super) fn key(file: &'static File, table: &'static Table, found: &str) -> Option<String> {
    if let Some(place) = owner(file, "", found) {
        return Some(format!("it belongs in {place}"));
    }
    let names = table.keys.iter().map(|key| key.name).chain(table.tables.iter().map(|table| table.name));
    among(found, names)
}

fn owner(table: &'static Table, path: &str, found: &str) -> Option<String> {
    table.tables.iter().find_map(|child| {
        let path_of_child = child.path(path);
        if child.keys.iter().any(|key| key.name == found) {
            return Some(child.header(path));
        }
        owner(child, &path_of_child, found)
    })
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

    #[test]
    fn a_slip_of_the_finger_is_near_and_another_word_is_not() {
        let known = ["weight_list", "forbid_list", "rise"];
        assert_eq!(nearest("wieght_list", known.into_iter()), Some("weight_list"));
        assert_eq!(nearest("Weight_List", known.into_iter()), Some("weight_list"));
        assert_eq!(nearest("rse", known.into_iter()), Some("rise"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
