//! Counters go on over reloads, and what control shows follows them.

use rustix::process::Signal;
use tempfile::TempDir;

use super::{counted_in, folder, named, over_cores, stats};
use crate::support::{Conf, Gateway, Origin, Service, eventually};

fn conf(folder: &TempDir, services: &[(&str, &Origin)]) -> Conf {
    let conf = services.iter().fold(Conf::new(), |conf, (prefix, origin)| conf.service(Service::at(prefix, &[origin])));
    counted_in(folder, conf)
}

#[track_caller]
fn reload(folder: &TempDir, gateway: &Gateway, conf: &Conf) {
    let stats = stats(folder, gateway);
    let (before, epoch) = (stats.process().get("reloads_total"), stats.process().get("epoch"));
    gateway.rewrite_files(conf);
    gateway.signal(Signal::HUP);
    assert!(eventually(|| stats.process().get("reloads_total") > before));
    assert!(eventually(|| stats.read().cores.iter().all(|core| core.get("epoch") > epoch)));
}

fn ask(gateway: &Gateway, path: &str, times: usize) {
    (0..times).for_each(|_| assert_eq!(gateway.connect().get(path).status(), 200));
}

#[test]
fn a_service_counts_on_whatever_comes_before_it_in_the_files() {
    let (one, two, folder) = (Origin::ok(), Origin::ok(), folder());
    let gateway = Gateway::start(&conf(&folder, &[("/a", &one), ("/b", &two)]));
    let stats = stats(&folder, &gateway);
    let counted = |name: &str| named(&stats.read().services, name).counts.get("requests_2xx_total");
    ask(&gateway, "/a/x", 2);
    ask(&gateway, "/b/x", 5);
    reload(&folder, &gateway, &conf(&folder, &[("/c", &one), ("/b", &two), ("/a", &one)]));
    ask(&gateway, "/b/x", 1);
    ask(&gateway, "/c/x", 3);
    assert!(eventually(|| (counted("a"), counted("b"), counted("c")) == (2, 6, 3)));
    let reading = stats.read();
    let endpoint = |origin: &Origin| named(&reading.endpoints, origin.node()).counts.get("attempts_total");
    assert_eq!(endpoint(&two), 6);
}

#[test]
fn a_service_that_is_gone_is_shown_no_more_and_the_core_still_counts_it() {
    let (one, two, folder) = (Origin::ok(), Origin::ok(), folder());
    let gateway = Gateway::start(&conf(&folder, &[("/a", &one), ("/b", &two)]));
    let stats = stats(&folder, &gateway);
    ask(&gateway, "/a/x", 4);
    reload(&folder, &gateway, &conf(&folder, &[("/b", &two)]));
    let reading = stats.read();
    assert_eq!(reading.services.iter().map(|service| &*service.name).collect::<Vec<_>>(), ["b"]);
    assert_eq!(over_cores(&reading, "requests_2xx_total"), 4);
    reload(&folder, &gateway, &conf(&folder, &[("/a", &one), ("/b", &two)]));
    assert_eq!(named(&stats.read().services, "a").counts.get("requests_2xx_total"), 4, "its row was nobody else's");
}

#[test]
fn nothing_that_only_grows_falls_over_reloads() {
    let (origin, folder) = (Origin::ok(), folder());
    let with = |more: &str| conf(&folder, &[("/a", &origin), (more, &origin)]);
    let gateway = Gateway::start(&with("/b"));
    let stats = stats(&folder, &gateway);
    let mut before = stats.read();
    for more in ["/c", "/d", "/c"] {
        ask(&gateway, "/a/x", 3);
        reload(&folder, &gateway, &with(more));
        let now = stats.read();
        for (core, (was, is)) in before.cores.iter().zip(&now.cores).enumerate() {
            for (field, value) in was.values().filter(|(field, _)| field.name.ends_with("_total")) {
                assert!(is.get(&field.name) >= value, "{} of core {core}", field.name);
            }
        }
        before = now;
    }
    assert_eq!(named(&before.services, "a").counts.get("requests_2xx_total"), 9);
}

#[test]
fn endpoints_are_shown_with_their_health_and_weight() {
    let (one, two, folder) = (Origin::ok(), Origin::ok(), folder());
    let service = Service::at("/svc", &[&one, &two]).weights(&[3, 5]).balance("check_interval", 200).balance("fall", 1);
    let gateway = Gateway::start(&counted_in(&folder, Conf::new().service(service)));
    let stats = stats(&folder, &gateway);
    let health = |origin: &Origin| named(&stats.read().endpoints, origin.node()).title.get("health");
    assert!(eventually(|| (health(&one), health(&two)) == (1, 1)));
    assert_eq!(named(&stats.read().endpoints, two.node()).title.get("weight"), 5);
    one.set_sick(true);
    assert!(eventually(|| (health(&one), health(&two)) == (2, 1)));
}

#[test]
fn a_reload_that_loads_nothing_is_counted_too() {
    let (origin, folder) = (Origin::ok(), folder());
    let gateway = Gateway::start(&conf(&folder, &[("/a", &origin)]));
    let stats = stats(&folder, &gateway);
    std::fs::write(gateway.directory().join("module.toml"), "nonsense =").expect("written");
    gateway.signal(Signal::HUP);
    assert!(eventually(|| stats.process().get("reload_failures_total") == 1));
    assert_eq!(stats.process().get("reloads_total"), 0);
    assert!(stats.process().get("reloaded_unix_ms") >= stats.process().get("started_unix_ms"));
}
