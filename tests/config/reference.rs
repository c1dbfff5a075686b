//! The documents are what the schema says, and the schema says the truth about defaults.

use std::path::Path;

use gatekeeper::config::{reference, schema};

use super::{held, load_files};

fn committed(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn the_reference_file_is_up_to_date() {
    held(&committed("conf/reference.toml"), &reference::toml());
}

#[test]
fn the_configuration_page_is_up_to_date() {
    held(&committed("docs/configuration.md"), &reference::markdown());
}

#[test]
fn the_reference_loads_and_its_defaults_are_those_of_absent_keys() {
    let part = |file| reference::part(file).expect("a part of the reference");
    let module = part(&schema::MODULE_FILE);
    let full =
        [("module.toml", &*module), ("base.toml", &*part(&schema::BASE_FILE)), ("app.toml", &*part(&schema::APP_FILE))];
    let full = load_files(&full).expect("no fault that stops");
    let module = "[[module]]\nbase.name = \"orders\"\nmatch_rule = [{}]\nfilter = [{ name = \"city\" }]\nload_balance.ip_list = \"127.0.0.1:8701\"\n\
                  header = [{ name = \"X-Env\" }]\nvalidation = [{ part = \"query.page\" }]\n\
                  limit = [{ rate = 100 }]\n";
    let app = "[[authirized_apps]]\napp_id = \"shop\"\nsecret = \"change-me-8d1f0c35\"\n";
    let bare = load_files(&[("module.toml", module), ("app.toml", app)]).expect("no fault that stops");
    assert_eq!(full.snapshot.http, bare.snapshot.http);
    assert_eq!(format!("{:?}", full.snapshot.services), format!("{:?}", bare.snapshot.services));
    assert_eq!(full.snapshot.tenants.all(), bare.snapshot.tenants.all());
    assert_eq!(full.process, bare.process);
}
