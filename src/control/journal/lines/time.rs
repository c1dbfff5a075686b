//! Times as lines have them, in the zone of the files. A second is turned into text once.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The text of the second last asked for.
pub(super) struct Times {
    zone: TimeZone,
    second: Option<u64>,
    /// `28/Nov/2026:14:17:43 +0800`.
    common: String,
    /// `2026-11-28T14:17:43`.
    date: String,
    /// `+08:00`.
    offset: String,
}

impl Times {
    /// Times in this zone.
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, second: None, common: String::new(), date: String::new(), offset: String::new() }
    }

    fn look(&mut self, unix_us: u64) {
        let second = unix_us / 1_000_000;
        if self.second.replace(second) == Some(second) {
            return;
        }
        let timestamp = Timestamp::from_second(i64::try_from(second).unwrap_or(0)).unwrap_or_default();
        let time = timestamp.to_zoned(self.zone.clone());
        self.common = time.strftime("%d/%b/%Y:%H:%M:%S %z").to_string();
        self.date = time.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        self.offset = time.strftime("%:z").to_string();
    }

    /// As in nginx's and Apache's common format.
    pub(super) fn put_common(&mut self, out: &mut Vec<u8>, unix_us: u64) {
        self.look(unix_us);
        out.extend_from_slice(self.common.as_bytes());
    }

    /// As in ISO 8601 and RFC 3339, with that many digits of a fraction: 0, 3 or 6.
    pub(super) fn put_iso(&mut self, out: &mut Vec<u8>, unix_us: u64, digits: usize) {
        self.put_local(out, unix_us, digits);
        out.extend_from_slice(self.offset.as_bytes());
    }

    /// The same without its zone.
    pub(super) fn put_local(&mut self, out: &mut Vec<u8>, unix_us: u64, digits: usize) {
        self.look(unix_us);
        out.extend_from_slice(self.date.as_bytes());
        if digits > 0 {
            let seconds = out.len();
            super::put_seconds(out, unix_us % 1_000_000, digits);
            // Only its fraction.
            out.remove(seconds);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_the_forms_that_readers_of_logs_know() {
        let mut times = Times::new(TimeZone::get("Asia/Shanghai").expect("a zone"));
        let mut out = Vec::new();
        let unix_us = 1_795_876_663_012_345;
        times.put_common(&mut out, unix_us);
        out.push(b' ');
        times.put_iso(&mut out, unix_us, 6);
        out.push(b' ');
        times.put_iso(&mut out, unix_us, 0);
        out.push(b' ');
        times.put_local(&mut out, unix_us + 1_000_000, 3);
        let text = String::from_utf8(out).expect("text");
        let wanted = "28/Nov/2026:22:37:43 +0800 2026-11-28T22:37:43.012345+08:00 2026-11-28T22:37:43+08:00 \
                      2026-11-28T22:37:44.012";
        assert_eq!(text, wanted);
    }
}
