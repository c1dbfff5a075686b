//! `/api/totals`: what was kept of days and hours, over restarts.

use serde_json::{Value, json};

use super::Watched;
use crate::support::{Conf, Origin};

fn kept(origin: &Origin, folder: &tempfile::TempDir) -> Conf {
    Conf::of(origin).store("path", folder.path().join("store.db").display().to_string())
}

#[track_caller]
fn totals(watched: &Watched, query: &str) -> Value {
    let answer = watched.get(&format!("/api/totals{query}"));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.json()
}

#[test]
fn totals_of_the_day_and_its_hours_are_told_over_a_restart() {
    let (origin, folder) = (Origin::ok(), tempfile::tempdir().expect("a folder"));
    for run in 1..=2_u64 {
        let watched = Watched::start(&kept(&origin, &folder));
        let mut client = watched.gateway.connect();
        for _ in 0..5 {
            assert_eq!(client.get("/svc/a").status(), 200);
        }
        // The last account may be settled just after its answer was sent.
        let total = |page: &Value, rows: &str| {
            page[rows].as_array().expect("rows").iter().map(|row| row["total"].as_u64().expect("a number")).sum::<u64>()
        };
        assert!(crate::support::eventually(|| total(&totals(&watched, ""), "days") == 5 * run));
        let page = totals(&watched, "?days=1&kind=service&name=svc");
        // Midnight may have come meanwhile.
        let row = &page["days"][0];
        assert_eq!((&row["kind"], &row["name"]), (&json!("service"), &json!("svc")), "{page}");
        assert_eq!(page["cut"], json!(false));
        assert_eq!(total(&totals(&watched, ""), "hours"), 5 * run);
        let starts = page["hours"][0]["starts"].as_str().expect("a time");
        starts.parse::<jiff::Timestamp>().expect("RFC 3339");
    }
}

#[test]
fn totals_are_of_the_kind_and_name_that_are_asked_for() {
    let (origin, folder) = (Origin::ok(), tempfile::tempdir().expect("a folder"));
    let watched = Watched::start(&kept(&origin, &folder));
    assert_eq!(watched.gateway.connect().get("/svc/a").status(), 200);
    assert!(crate::support::eventually(|| totals(&watched, "?name=svc")["days"] != json!([])));
    assert_eq!(totals(&watched, "?kind=tenant")["days"], json!([]));
    assert_eq!(totals(&watched, "?name=another")["hours"], json!([]));
    for wrong in ["?kind=planet", "?days=0", "?days=many", "?since=ever"] {
        let answer = watched.get(&format!("/api/totals{wrong}"));
        assert_eq!(answer.status(), 400, "{wrong}: {}", answer.text());
    }
}

#[test]
fn without_a_store_there_are_no_totals_to_tell() {
    let watched = Watched::start(&Conf::of(&Origin::ok()).store("path", "off"));
    let answer = watched.get("/api/totals");
    assert_eq!(answer.status(), 503);
    assert!(answer.text().contains("totals are kept in no file"), "{}", answer.text());
}
