//! `[[module.filter]]`: what is a fault, and where.

use super::load_files;

const SERVICE: &str = "[[module]]\nbase.name = \"a\"\nmatch_rule = [{}]\nload_balance.ip_list = \"127.0.0.1:1\"\n";

/// The first fault of a service with this filter: line, message, help.
fn fault(filter: &str) -> (usize, String, String) {
    let faults = load_files(&[("module.toml", &format!("{SERVICE}{filter}"))]).expect_err("a fault");
    (faults[0].line, faults[0].message.clone(), faults[0].help.clone().unwrap_or_default())
}

#[test]
fn a_filter_gets_its_options_whatever_they_are() {
    let text = format!(
        "{SERVICE}[[module.filter]]\nname = \"cities\"\noptions.city_ids = [12, 0x0E]\n\
         [[module.filter]]\nname = \"unlike\"\nbody_bytes_max = 9\n[module.filter.options]\nb = 2\n\"a b\" = 1\n"
    );
    let loaded = load_files(&[("module.toml", &text)]).expect("no fault");
    let filters = loaded.snapshot.services[0].filters.as_ref().expect("two filters");
    let told: Vec<_> = filters.http.iter().map(|filter| format!("{filter:?}")).collect();
    assert_eq!(told, ["cities(1048576; city_ids = [12, 14]\n)", "unlike(9; \"a b\" = 1\nb = 2\n)"]);
}

#[test]
fn other_options_load_as_something_else() {
    let loaded = |options: &str| {
        let text = format!("{SERVICE}[[module.filter]]\nname = \"unlike\"\noptions = {options}\n");
        format!("{:?}", load_files(&[("module.toml", &text)]).expect("no fault").snapshot.services)
    };
    assert_ne!(loaded("{ a = 1 }"), loaded("{ a = 2 }"));
}

#[test]
fn options_that_do_not_suit_the_filter_are_a_fault_at_their_place() {
    let head = "[[module.filter]]\nname = \"cities\"\n[module.filter.options]\n";
    let (line, message, help) = fault(&format!("{head}city_id = 12\n"));
    assert_eq!((line, help.as_str()), (7, "correct its options"));
    assert_eq!(message, "the filter `cities` cannot be made: unknown field `city_id`, expected `city_ids`");
    let (_, message, _) = fault(&format!("{head}city_ids = [\"x\"]\n"));
    assert!(message.contains("invalid type: string \"x\", expected i64"), "{message}");
    let (_, message, _) = fault(&format!("{head}city_ids = []\n"));
    assert_eq!(message, "the filter `cities` cannot be made: no city");
    let (line, message, _) = fault("[[module.filter]]\nname = \"cities\"\n");
    assert!(line == 5 && message.contains("missing field `city_ids`"), "{line} {message}");
    let (line, message, _) = fault("[[module.filter]]\nname = \"cities\"\noptions = 3\n");
    assert_eq!((line, message.as_str()), (7, "`module.filter.options` must be a table, not an integer"));
}

#[test]
fn a_name_that_is_not_known_is_a_fault_at_its_place() {
    let (line, message, help) = fault("[[module.filter]]\nname = \"citys\"\n");
    assert_eq!((line, message.as_str()), (6, "this program has no http filter `citys`"));
    assert_eq!(help, "did you mean `city`?");
    let (_, _, help) = fault("[[module.filter]]\nname = \"weather\"\n");
    assert_eq!(help, "it has cities, city, unlike");
    let (line, message, _) = fault("[[module.filter]]\nbody_bytes_max = 1\n");
    assert_eq!((line, message.as_str()), (5, "`name` is missing in [[module.filter]]"));
}

#[test]
fn a_bound_of_bodies_means_nothing_to_a_tcp_service() {
    let service = "[[module]]\nbase = { name = \"a\", load_type = \"tcp\", frontend_addr = \":2\" }\n\
                   load_balance.ip_list = \"127.0.0.1:1\"\n[[module.filter]]\nname = \"cities\"\nbody_bytes_max = 1\n";
    let faults = load_files(&[("module.toml", service)]).expect_err("cities is an http filter");
    let said: Vec<_> = faults.iter().map(|fault| (fault.line, fault.warning, fault.message.as_str())).collect();
    let unused = (6, true, "body_bytes_max has no effect: a tcp service has no bodies");
    assert!(
        said.contains(&unused) && said.contains(&(5, false, "this program has no tcp filter `cities`")),
        "{said:?}"
    );
}
