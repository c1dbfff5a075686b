//! The text at the front of the stats file: one line for each section and field, and back.
//!
//! ```text
//! section NAME in SECTION|file word N rows N stride N
//! field NAME KIND UNIT word N words N
//! labels NAME NAME …            of the field before
//! bounds N N …                  likewise
//! ```
//!
//! A reader skips lines that it does not know. Out of scope: what there is (`layout`).

use std::fmt::Write;

use super::layout::{Field, Kind, Section};

/// The sections as text.
#[must_use]
pub fn write(sections: &[Section]) -> String {
    let mut text = String::new();
    for Section { name, inside, at, rows, stride, fields } in sections {
        let inside = if inside.is_empty() { "file" } else { inside };
        let _ = writeln!(text, "section {name} in {inside} word {at} rows {rows} stride {stride}");
        for field in fields {
            write_field(&mut text, field);
        }
    }
    text
}

fn write_field(text: &mut String, field: &Field) {
    let Field { name, kind, unit, at, words, labels, bounds } = field;
    let kind = Kind::NAMES.iter().find(|(known, _)| known == kind).map_or("", |(_, name)| name);
    let _ = writeln!(text, "field {name} {kind} {unit} word {at} words {words}");
    if !labels.is_empty() {
        let _ = writeln!(text, "labels {}", labels.join(" "));
    }
    if !bounds.is_empty() {
        text.push_str("bounds");
        for bound in bounds {
            let _ = write!(text, " {bound}");
        }
        text.push('\n');
    }
}

/// The sections that a text describes.
///
/// # Errors
/// The line that cannot be read.
pub fn read(text: &str) -> Result<Vec<Section>, String> {
    let mut sections = Vec::new();
    for line in text.lines() {
        read_line(line, &mut sections).ok_or_else(|| format!("cannot be read: {line}"))?;
    }
    Ok(sections)
}

fn read_line(line: &str, sections: &mut Vec<Section>) -> Option<()> {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        ["section", name, "in", inside, "word", at, "rows", rows, "stride", stride] => sections.push(Section {
            name: name.to_owned(),
            inside: if inside == "file" { String::new() } else { inside.to_owned() },
            at: at.parse().ok()?,
            rows: rows.parse().ok()?,
            stride: stride.parse().ok()?,
            fields: Vec::new(),
        }),
        ["field", name, kind, unit, "word", at, "words", count] => {
            let field = Field {
                name: name.to_owned(),
                // What is of an unknown kind is left to those who know it.
                kind: Kind::NAMES.iter().find(|(_, known)| *known == kind).map_or(Kind::Gauge, |(kind, _)| *kind),
                unit: unit.to_owned(),
                at: at.parse().ok()?,
                words: count.parse().ok()?,
                labels: Vec::new(),
                bounds: Vec::new(),
            };
            sections.last_mut()?.fields.push(field);
        }
        ["labels", ..] => last(sections)?.labels = words[1..].iter().map(|&label| label.to_owned()).collect(),
        ["bounds", ..] => {
            last(sections)?.bounds = words[1..].iter().map(|bound| bound.parse().ok()).collect::<Option<_>>()?;
        }
        _ => {}
    }
    Some(())
}

fn last(sections: &mut [Section]) -> Option<&mut Field> {
    sections.last_mut()?.fields.last_mut()
}

#[cfg(test)]
mod tests {
    use super::super::layout::{FRONT_WORDS, TEXT_AT, sections};
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let all = sections(48);
        assert_eq!(read(&write(&all)), Ok(all));
    }

    #[test]
    fn the_text_has_room_at_the_front() {
        let most = (FRONT_WORDS - TEXT_AT) * 8;
        assert!(write(&sections(crate::limits::WORKERS_MAX)).len() <= most * 3 / 4, "room for further fields");
    }

    #[test]
    fn fields_of_a_record_do_not_overlap_and_fit_it() {
        for section in sections(2) {
            let mut next = 0;
            for field in &section.fields {
                assert!(field.at >= next, "{}.{}", section.name, field.name);
                next = field.at + field.words;
            }
            assert!(next <= section.stride, "{}", section.name);
        }
    }

    #[test]
    fn lines_of_a_later_version_are_skipped() {
        let text =
            "colour blue\nsection a in file word 1 rows 1 stride 1\nfield b gauge x word 0 words 1\nshade dark\n";
        let sections = read(text).expect("readable");
        assert_eq!((sections.len(), sections[0].fields.len()), (1, 1));
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let wrong = "section a in file word x rows 1 stride 1";
        assert_eq!(read(wrong), Err(format!("cannot be read: {wrong}")));
        assert!(read("labels a b").is_err());
    }
}
