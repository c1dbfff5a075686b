//! Sections → `Snapshot` and `Process`: what the values mean together, and every fault of meaning.
//!
//! In scope: addresses, rules, rewrites, lists, tenants, and the relations between keys. Out of scope:
//! the form of the text (`read`), defaults (`schema`). A fault never ends the work: the rest is still
//! looked at, and the caller throws the result away if anything stops the load.

mod account;
mod address;
mod admin;
mod balance;
mod calendar;
mod cors;
mod default_answer;
mod demands;
mod filters;
mod headers;
mod http;
mod limits;
mod lists;
mod logs;
mod order;
mod pattern;
mod resilience;
mod rules;
mod service;
mod split;
mod tcp;
mod tenants;
mod tokens;
mod trace;
mod validation;

use ipnet::IpNet;

use super::Process;
use super::logs::Logs;
use super::section::{Item, Section};
use super::source::{Faults, Source};
use super::texts::Lists;
use crate::filter::Registry;
use crate::ids::EndpointId;
use crate::wall::access::AddressSet;
use crate::wall::snapshot::Snapshot;

/// One file, read.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) source: Source,
    pub(super) root: Section,
}

/// The files that have an effect.
#[derive(Debug)]
pub(super) struct Pages {
    pub(super) base: Page,
    pub(super) module: Page,
    pub(super) app: Page,
    /// The files of addresses that the services name.
    pub(super) lists: Lists,
}

/// A table of a file and where to report what is wrong in it.
struct Desk<'d> {
    source: &'d Source,
    section: &'d Section,
    faults: &'d mut Faults,
}

impl<'d> Desk<'d> {
    /// For a table of a file that stands once.
    fn at(page: &'d Page, table: &str, faults: &'d mut Faults) -> Self {
        Self { source: &page.source, section: page.root.one(table), faults }
    }
}

impl Desk<'_> {
    fn error(&mut self, key: &str, message: String, help: &str) {
        self.faults.error(self.source, self.section.at(key), message, help);
    }

    fn warn(&mut self, key: &str, message: String, help: &str) {
        self.faults.warn(self.source, self.section.at(key), message, help);
    }

    fn items(&self, key: &str) -> Vec<Item> {
        self.section.items(self.source, key)
    }

    /// Reads each item of a list; those that are wrong are reported and left out.
    fn each<T>(&mut self, key: &str, read: impl Fn(&str) -> Result<T, address::Wrong>) -> Vec<T> {
        let mut taken = Vec::new();
        for item in self.items(key) {
            match read(&item.text) {
                Ok(value) => taken.push(value),
                Err((message, help)) => self.faults.error(self.source, item.at, message, help),
            }
        }
        taken
    }

    /// A list of addresses and ranges.
    fn nets(&mut self, key: &str) -> Vec<IpNet> {
        self.each(key, |text| AddressSet::parse_item(text).map_err(|message| (message, "")))
    }

    /// The same, compiled.
    fn addresses(&mut self, key: &str) -> AddressSet {
        AddressSet::new(self.nets(key))
    }
}

/// Compiles the files for a machine of this host name.
pub(super) fn compile(pages: &Pages, host_name: &str, filters: &Registry, faults: &mut Faults) -> (Snapshot, Process) {
    let tenants = tenants::compile(&pages.app, pages.base.root.one("http").flag("merge_slashes"), faults);
    let mut http = http::rules(&pages.base, faults);
    let modules = service::compile(pages, &http, !tenants.all().is_empty(), (host_name, filters), faults);
    let process = http::process(&pages.base, faults);
    http.log_sample = process.logs.access.sample;
    let listens = tcp::listens(process.listens, modules.listens, &pages.module, faults);
    let base = &pages.base;
    let admin = admin::admin(&mut Desk::at(base, "admin", faults), &listens);
    let store = admin::store(base.root.one("store"));
    let (time_zone, calendar) = calendar::calendar(&mut Desk::at(base, "base", faults));
    let zone = base.root.one("base").text("time_location").to_owned();
    let logs = Logs { zone: time_zone, ..process.logs };
    let process = Process { listens, admin, store, zone, logs, ..process };
    let mut snapshot = Snapshot::new(http, modules.routes, modules.services.into(), tenants);
    snapshot.calendar = calendar;
    snapshot.issuer = tokens::issuer(&mut Desk::at(base, "oauth", faults), snapshot.http.merge_slashes);
    (snapshot, process)
}

/// Hands out the numbers of endpoints, dense over the whole snapshot.
#[derive(Debug, Default)]
struct EndpointIds(u32);

impl EndpointIds {
    fn next(&mut self) -> EndpointId {
        self.0 += 1;
        EndpointId(self.0 - 1)
    }
}
