//! `gatekeeper check`: every fault of the files, and one line that sums up.

use std::fmt::Write;
use std::path::Path;

use super::said::Said;
use super::{Fault, Loaded, host_name, load_with};
use crate::filter::Registry;
use crate::wall::words::counted;

/// Loads the files and says what was found. Faults go to standard error, the summary to standard output.
#[must_use]
pub fn check(module_file: &Path, filters: &Registry) -> Said {
    match load_with(module_file, &host_name(), filters) {
        Ok(loaded) => Said { out: summary(module_file, &loaded), err: listing(&loaded.warnings), code: 0 },
        Err(faults) => Said { out: refusal(module_file, &faults), err: listing(&faults), code: 1 },
    }
}

/// Every fault, one after the other.
#[must_use]
pub fn listing(faults: &[Fault]) -> String {
    faults.iter().fold(String::new(), |mut text, fault| {
        let _ = writeln!(text, "{fault}");
        text
    })
}

fn refusal(module_file: &Path, faults: &[Fault]) -> String {
    let warnings = faults.iter().filter(|fault| fault.warning).count();
    let errors = counted(faults.len() - warnings, "error");
    format!("{}: {errors}, {}: would not be served\n", module_file.display(), counted(warnings, "warning"))
}

fn summary(module_file: &Path, loaded: &Loaded) -> String {
    let (snapshot, process) = (&loaded.snapshot, &loaded.process);
    let tcp = snapshot.services.iter().filter(|service| service.tcp.is_some()).count();
    let mut parts = vec![
        counted(snapshot.services.len() - tcp, "http service"),
        counted(tcp, "tcp service"),
        counted(snapshot.routes.all().len(), "rule"),
        counted(snapshot.endpoints, "endpoint"),
        counted(snapshot.tenants.all().len(), "tenant"),
    ];
    let shown = process.listens.iter().map(|listen| {
        let families = if listen.any { " (IPv4 and IPv6)" } else { "" };
        format!("{listen}{families}")
    });
    parts.push(format!("listening on {}", shown.collect::<Vec<_>>().join(" and ")));
    parts.push(counted(loaded.warnings.len(), "warning"));
    format!("{}: good: {}\n", module_file.display(), parts.join(", "))
}
