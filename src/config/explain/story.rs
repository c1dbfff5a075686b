//! The text that `explain` prints: a label and what there is to say, one stage below the other.

use std::fmt::Write;

use super::Outcome;
use crate::end::End;
use crate::wall::snapshot::HttpRules;

const LABEL_WIDTH: usize = 11;

/// What has been told so far.
#[derive(Debug, Default)]
pub(super) struct Story {
    pub(super) text: String,
    /// What a filter answers, where one refuses.
    pub(super) status: Option<u16>,
}

impl Story {
    pub(super) fn line(&mut self, label: &str, told: &str) {
        let _ = writeln!(self.text, "{label:<LABEL_WIDTH$}{told}");
    }

    /// The label stands before the first line only.
    pub(super) fn lines(&mut self, label: &str, told: &[String]) {
        for (number, line) in told.iter().enumerate() {
            self.line(if number == 0 { label } else { "" }, line);
        }
    }

    pub(super) fn verdict(&mut self, outcome: Result<Outcome, End>, http: &HttpRules) {
        self.text.push('\n');
        match outcome {
            Ok(Outcome::Own(what)) => self.line("verdict", what),
            Ok(Outcome::Forwarded(service)) => self.line("verdict", &format!("forwarded to {service}")),
            Err(end) => {
                let meaning = end.meaning();
                let status = self.status.or(end.status(http.legacy_status));
                let status = status.map_or("closed".to_owned(), |status| status.to_string());
                let legacy = if http.legacy_status { " (legacy_status)" } else { "" };
                self.line("verdict", &format!("{status}{legacy} {}: {}", meaning.code, meaning.text));
            }
        }
    }
}

/// Bytes for the screen: whatever is not visible ASCII is escaped, so that no request can draw on it.
pub(super) fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}
