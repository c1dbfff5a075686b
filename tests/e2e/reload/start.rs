//! Starting: what is listened on, what is said, what stops it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::process::Command;

use crate::support::conf::replace;
use crate::support::gateway::free_port;
use crate::support::{Client, Conf, Gateway, Origin};

#[test]
fn it_says_where_it_listens_and_how_many_workers_there_are() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).cores(3));
    let ready = gateway.stdout().lines().find(|line| line.starts_with("gatekeeper ready")).map(str::to_owned);
    let ready = ready.expect("a ready line");
    assert!(ready.contains(&gateway.address().to_string()), "{ready}");
    assert!(gateway.stdout().contains('3'), "{}", gateway.stdout());
}

#[test]
fn a_port_without_an_address_takes_ipv4_and_ipv6() {
    let origin = Origin::ok();
    let port = free_port();
    let conf = Conf::of(&origin).http("addr", format!(":{port}"));
    let _gateway = Gateway::try_start(&conf, port, |_| ()).expect("it starts");
    for address in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port))] {
        assert_eq!(Client::connect(address).get("/svc/a").status(), 200, "{address}");
    }
    let seen: Vec<_> =
        origin.expect_requests(2).iter().map(|seen| seen.head.field("x-real-ip").map(str::to_owned)).collect();
    assert_eq!(seen, [Some("127.0.0.1".to_owned()), Some("::1".to_owned())], "IPv4 is not shown as mapped");
}

#[test]
fn a_port_in_use_is_a_clear_fault() {
    let origin = Origin::ok();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let ended = Gateway::try_start(&Conf::of(&origin), port, |_| ()).map(|_| ()).expect_err("the port is taken");
    assert!(!ended.status.success());
    assert!(ended.printed.contains("listens there") && ended.printed.contains(&port.to_string()), "{ended:?}");
}

#[test]
fn a_second_process_on_the_same_port_is_refused() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let first = Gateway::start(&conf);
    let port = first.address().port();
    let ended = Gateway::try_start(&conf, port, |_| ()).map(|_| ()).expect_err("the first one holds the port");
    assert!(!ended.status.success());
    assert!(ended.printed.contains("listens there"), "{ended:?}");
    assert_eq!(first.connect().get("/svc/a").status(), 200);
}

#[test]
fn a_port_can_be_taken_again_at_once_after_a_stop() {
    let origin = Origin::ok();
    let conf = Conf::of(&origin);
    let first = Gateway::start(&conf);
    let port = first.address().port();
    let mut client = first.connect();
    client.get("/svc/a");
    drop(first);
    let second = Gateway::try_start(&conf, port, |_| ());
    if let Err(ended) = second {
        panic!("{ended:?}");
    }
}

#[test]
fn a_bad_file_stops_the_start_and_every_fault_is_printed() {
    let origin = Origin::ok();
    let port = free_port();
    let ended = Gateway::try_start(&Conf::of(&origin), port, |command| {
        let file = command.get_args().last().expect("the file").to_owned();
        let good = std::fs::read_to_string(&file).expect("our own file");
        let bad = good.replace("check_timeout = 2000", "check_timeout = \"soon\"").replace("ip_list", "ip_lisst");
        replace(file.as_ref(), &bad);
    });
    let ended = ended.map(|_| ()).expect_err("it must not start");
    assert!(!ended.status.success());
    for part in ["module.toml:", "check_timeout", "ip_lisst", "ip_list"] {
        assert!(ended.printed.contains(part), "{part}: {}", ended.printed);
    }
}

#[test]
fn too_few_descriptors_stop_the_start() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let conf = Conf::of(&Origin::ok());
    conf.write(directory.path(), free_port());
    let shell = "ulimit -n 40; exec \"$0\" --cores 2 \"$1\"";
    let mut command = Command::new("sh");
    command.args(["-c", shell]).arg(conf.program_path()).arg(directory.path().join("module.toml"));
    let ended = command.output().expect("a shell");
    let told = String::from_utf8_lossy(&ended.stderr);
    assert!(!ended.status.success());
    assert!(told.contains("the limit of 40 open files is too low: 2 workers") && told.contains("ulimit -n"), "{told}");
}

#[test]
fn a_pid_file_that_cannot_be_written_stops_the_start() {
    let ended = Gateway::try_start(&Conf::of(&Origin::ok()), free_port(), |command| {
        command.arg("--pid-file=/nowhere/pid");
    });
    let ended = ended.map(|_| ()).expect_err("it must not start");
    assert!(!ended.status.success());
    assert!(ended.printed.contains("/nowhere/pid of --pid-file: No such file"), "{ended:?}");
}

#[test]
fn forty_eight_workers_serve() {
    let origin = Origin::ok();
    let gateway = Gateway::start(&Conf::of(&origin).cores(48));
    assert!(gateway.stdout().contains("48"), "{}", gateway.stdout());
    let mut clients: Vec<_> = (0..200).map(|_| gateway.connect()).collect();
    for client in &mut clients {
        client.send("GET /svc/a HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.answer().status(), 200);
    }
    let said = gateway.connect().get("/reload").json()["data"].as_str().expect("text").to_owned();
    assert!(said.contains(" on 48/48 cores in "), "{said}");
}
