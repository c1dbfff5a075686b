//! The text that Prometheus reads: its own format 0.0.4, and OpenMetrics 1.0, which differ in names and the end.
//!
//! In scope: how a number is written. Out of scope: which numbers there are (`metrics`).

use std::fmt::{Display, Write};

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Prometheus,
    OpenMetrics,
}

impl Format {
    /// What an `Accept` asks for.
    pub(super) fn of(accept: &str) -> Self {
        let wanted = accept.split(',').any(|item| item.trim().starts_with("application/openmetrics-text"));
        if wanted { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `Content-Type`.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What a family of numbers is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// A page that is being written.
pub(super) struct Text {
    format: Format,
    out: String,
    /// Of the family under way, without `_total`.
    family: String,
    kind: Kind,
}

impl Text {
    pub(super) fn new(format: Format, bytes: usize) -> Self {
        Self { format, out: String::with_capacity(bytes), family: String::new(), kind: Kind::Gauge }
    }

    /// Begins a family. Counters are named without `_total`.
    pub(super) fn family(&mut self, kind: Kind, name: &str, help: &str) {
        name.clone_into(&mut self.family);
        self.kind = kind;
        // Prometheus's own format knows a counter by its whole name.
        let total = if kind == Kind::Counter && self.format == Format::Prometheus { "_total" } else { "" };
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.out, "# HELP {name}{total} {help}\n# TYPE {name}{total} {word}");
    }

    /// One number of the family; `labels` come from `labels`.
    pub(super) fn put(&mut self, labels: &str, value: impl Display) {
        let end = if self.kind == Kind::Counter { "_total" } else { "" };
        self.line(end, labels, value);
    }

    /// A histogram: (upper bound in seconds, how many at or below it and above the one before), all, and their sum.
    pub(super) fn histogram(&mut self, labels: &str, buckets: &[(f64, u64)], count: u64, sum_s: f64) {
        let mut below = 0;
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound_s, more) in buckets {
            below += more;
            let _ = writeln!(self.out, "{}_bucket{{{labels}{comma}le=\"{bound_s:?}\"}} {below}", self.family);
        }
        let _ = writeln!(self.out, "{}_bucket{{{labels}{comma}le=\"+Inf\"}} {count}", self.family);
        self.line("_sum", labels, sum_s);
        self.line("_count", labels, count);
    }

    fn line(&mut self, end: &str, labels: &str, value: impl Display) {
        let family = &self.family;
        let _ = match labels {
            "" => writeln!(self.out, "{family}{end} {value}"),
            labels => writeln!(self.out, "{family}{end}{{{labels}}} {value}"),
        };
    }

    pub(super) fn finish(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.out.push_str("# EOF\n");
        }
        self.out
    }
}

/// `name="value",…`, escaped.
pub(super) fn labels(pairs: &[(&str, &str)]) -> String {
    let mut out = String::new();
    for (name, value) in pairs {
        if !out.is_empty() {
            out.push(',');
        }
        let _ = write!(out, "{name}=\"");
        for letter in value.chars() {
            match letter {
                '\\' => out.push_str("\\\\"),
                '"' => out.push_str("\\\""),
                '\n' => out.push_str("\\n"),
                letter => out.push(letter),
            }
        }
        out.push('"');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(format: Format) -> String {
        let mut text = Text::new(format, 0);
        text.family(Kind::Counter, "http_requests", "Requests.");
        text.put(&labels(&[("service", "a\"b\\c\nd"), ("code", "2xx")]), 7);
        text.family(Kind::Gauge, "active_connections", "Connections.");
        text.put("", 3);
        text.family(Kind::Histogram, "gateway_request_duration_seconds", "Time.");
        text.histogram("service=\"a\"", &[(0.001, 2), (1.0, 3)], 6, 12.5);
        text.finish()
    }

    const SAMPLES: &str = "http_requests_total{service=\"a\\\"b\\\\c\\nd\",code=\"2xx\"} 7\n\
        # HELP active_connections Connections.\n# TYPE active_connections gauge\nactive_connections 3\n\
        # HELP gateway_request_duration_seconds Time.\n# TYPE gateway_request_duration_seconds histogram\n\
        gateway_request_duration_seconds_bucket{service=\"a\",le=\"0.001\"} 2\n\
        gateway_request_duration_seconds_bucket{service=\"a\",le=\"1.0\"} 5\n\
        gateway_request_duration_seconds_bucket{service=\"a\",le=\"+Inf\"} 6\n\
        gateway_request_duration_seconds_sum{service=\"a\"} 12.5\n\
        gateway_request_duration_seconds_count{service=\"a\"} 6\n";

    #[test]
    fn prometheus_knows_a_counter_by_its_whole_name() {
        let head = "# HELP http_requests_total Requests.\n# TYPE http_requests_total counter\n";
        assert_eq!(page(Format::Prometheus), format!("{head}{SAMPLES}"));
    }

    #[test]
    fn openmetrics_knows_it_without_its_ending_and_ends_itself() {
        let head = "# HELP http_requests Requests.\n# TYPE http_requests counter\n";
        assert_eq!(page(Format::OpenMetrics), format!("{head}{SAMPLES}# EOF\n"));
    }

    #[test]
    fn the_format_is_what_accept_asks_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3";
        assert_eq!(Format::of(prometheus), Format::OpenMetrics);
        assert_eq!([Format::of(""), Format::of("*/*"), Format::of("text/html, text/plain")], [Format::Prometheus; 3]);
    }
}
