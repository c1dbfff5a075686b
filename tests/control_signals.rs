//! The control plane under real signals, in a process of its own: SIGHUP reloads, SIGUSR1 ends nothing,
//! SIGTERM drains and ends.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use gatekeeper::config;
use gatekeeper::control::bind::{Group, Opened};
use gatekeeper::control::{self, Life, Notes, Office};
use gatekeeper::filter::Registry;
use gatekeeper::ids::WorkerId;
use gatekeeper::wall::link::{self, Order, Report};
use gatekeeper::wall::listen::Listen;
use gatekeeper::wall::slot::StatsFile;
use rustix::process::{Signal, getpid, kill_process};

const PATIENCE: Duration = Duration::from_secs(20);

fn module(name: &str) -> String {
    format!(
        "[[module]]\n[module.base]\nload_type = \"http\"\nname = \"{name}\"\n\
         [[module.match_rule]]\ntype = \"url_prefix\"\nrule = \"/{name}\"\n\
         [module.load_balance]\nip_list = \"127.0.0.1:9\"\nweight_list = \"1\"\n"
    )
}

fn send(signal: Signal) {
    kill_process(getpid(), signal).expect("a signal to ourselves");
}

#[test]
fn hangup_reloads_and_terminate_drains() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("module.toml");
    std::fs::write(&file, module("one")).expect("a file in it");
    // The new text must arrive by the signal alone.
    std::fs::write(folder.path().join("base.toml"), "[base]\nwatch = false\n").expect("a file in it");
    let loaded = config::load(&file).unwrap_or_else(|faults| panic!("{faults:?}"));

    let unserved = |listen: &Listen| Group { listen: listen.clone(), sockets: Vec::new() };
    let groups = loaded.process.listens.iter().map(unserved).collect();
    let listening = Opened { groups, admin: None };

    let (up, reports) = link::report_channel().expect("descriptors");
    let (control_end, worker) = link::connect(WorkerId(0), &up).expect("descriptors");
    let (adopted, names) = mpsc::channel();
    thread::spawn(move || {
        worker.reports.send(Report::Ready { worker: worker.worker, driver: "test" });
        for order in &worker.orders {
            match order {
                Order::Adopt(epoch) => {
                    let _ = adopted.send(epoch.snapshot.services[0].name.to_string());
                    worker.reports.send(Report::Adopted { worker: worker.worker, epoch: epoch.id });
                }
                Order::ReloadAnswer { .. } | Order::Ping | Order::Listen { .. } | Order::Unlisten { .. } => {}
                Order::Drain { .. } => break,
            }
        }
        worker.reports.send(Report::Drained { worker: worker.worker, cut: 3, summary: String::new() });
    });
    let (ready, is_ready) = mpsc::channel();
    let office = Office {
        file: file.clone(),
        load: Box::new(|file, in_force| config::load_if_changed_with(file, in_force, &Registry::default())),
        loaded,
        listening,
        links: vec![control_end],
        spawn: Box::new(|_| Err(std::io::ErrorKind::Unsupported.into())),
        reports,
        ready: Box::new(move |drivers| {
            let _ = ready.send(drivers.to_owned());
        }),
        life: Life::default(),
        stats: StatsFile::anonymous(1).expect("room"),
        notes: Notes::install(),
    };
    let running = thread::spawn(move || control::run(office));

    assert_eq!(is_ready.recv_timeout(PATIENCE).expect("ready"), "1 on test");
    assert_eq!(names.recv_timeout(PATIENCE).expect("the first epoch"), "one");
    std::fs::write(&file, module("two")).expect("another file");
    send(Signal::USR1);
    send(Signal::HUP);
    while names.recv_timeout(PATIENCE).expect("the new configuration") != "two" {}
    send(Signal::TERM);
    let outcome = running.join().expect("no panic").expect("an outcome");
    assert!(outcome.clean);
    assert_eq!(outcome.cut, 3);
}
