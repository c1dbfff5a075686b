//! The admin listener: who may ask, what is answered, and that a reload, a stop and an upgrade are seen there.

mod figures;
mod listener;
mod peers;
mod quota;
mod store;
mod totals;

use std::net::{Ipv4Addr, SocketAddr};

use crate::support::gateway::free_port;
use crate::support::{Answer, Client, Conf, Gateway};

/// A gateway with its admin listener.
struct Watched {
    gateway: Gateway,
    admin: SocketAddr,
}

impl Watched {
    #[track_caller]
    fn start(conf: &Conf) -> Self {
        let admin = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
        Self { gateway: Gateway::start(&watched(conf, admin)), admin }
    }

    fn connect(&self) -> Client {
        Client::connect(self.admin)
    }

    #[track_caller]
    fn get(&self, path: &str) -> Answer {
        self.connect().ask(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    }

    #[track_caller]
    fn status(&self) -> serde_json::Value {
        let answer = self.get("/api/status");
        assert_eq!(answer.status(), 200, "{}", answer.text());
        answer.json()
    }
}

fn watched(conf: &Conf, admin: SocketAddr) -> Conf {
    conf.clone().admin("addr", admin.to_string())
}
