//! The process as the kernel accounts for it: /proc/self.

use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

/// What the kernel says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Process {
    pub(super) cpu_s: f64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    pub(super) threads: u64,
    pub(super) open_descriptors: u64,
    pub(super) descriptors_max: u64,
    /// Seconds since 1970.
    pub(super) started_s: f64,
}

impl Process {
    /// Reads it; `None` where there is no /proc.
    pub(super) fn read() -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let boot = fs::read_to_string("/proc/stat").ok()?;
        let boot_s = boot.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<f64>().ok())?;
        let mut process = parse(&stat, boot_s, clock_ticks_per_second() as f64, page_size() as u64)?;
        process.open_descriptors = fs::read_dir("/proc/self/fd").map_or(0, |all| all.count() as u64);
        process.descriptors_max =
            rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
        Some(process)
    }
}

/// proc(5): fields 14, 15 (processor time), 20 (threads), 22 (start), 23 and 24 (memory), counted behind the name.
fn parse(stat: &str, boot_s: f64, ticks_per_s: f64, page_bytes: u64) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.trim().parse::<u64>().ok();
    let seconds = |ticks: u64| ticks as f64 / ticks_per_s;
    Some(Process {
        cpu_s: seconds(number(14)? + number(15)?),
        threads: number(20)?,
        started_s: boot_s + seconds(number(22)?),
        virtual_bytes: number(23)?,
        resident_bytes: number(24)? * page_bytes,
        ..Process::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let fields: Vec<String> = (4..=30).map(|n| n.to_string()).collect();
        let stat = format!("1 (a ) b) S {}", fields.join(" "));
        let process = parse(&stat, 1_000.0, 100.0, 4_096).expect("fields");
        assert!((process.cpu_s - 0.29).abs() < 1e-9 && (process.started_s - 1_000.22).abs() < 1e-9, "{process:?}");
        assert_eq!((process.threads, process.virtual_bytes, process.resident_bytes), (20, 23, 24 * 4_096));
    }

    #[test]
    fn this_process_has_what_every_process_has() {
        let process = Process::read().expect("/proc");
        assert!(process.resident_bytes > 100_000 && process.threads > 0 && process.open_descriptors > 2, "{process:?}");
    }
}
