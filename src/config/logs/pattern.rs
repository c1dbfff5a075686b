//! The name of a rotated file: GateKeeper's pattern, in which `%M` is the month and `%m` the minute.

use jiff::civil::DateTime;

/// A pattern of names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Year,
    Month,
    Day,
    Hour,
    Minute,
}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The byte at which something stands that is no part of a pattern.
    pub fn parse(text: &str) -> Result<Self, usize> {
        let mut parts = vec![Part::Text(String::new())];
        let mut letters = text.char_indices();
        while let Some((at, letter)) = letters.next() {
            let part = match (letter, if letter == '%' { letters.next() } else { None }) {
                ('%', Some((_, 'Y'))) => Part::Year,
                ('%', Some((_, 'M'))) => Part::Month,
                ('%', Some((_, 'D'))) => Part::Day,
                ('%', Some((_, 'H'))) => Part::Hour,
                ('%', Some((_, 'm'))) => Part::Minute,
                ('%', other) if other.is_none_or(|(_, letter)| letter != '%') => return Err(at),
                (letter, _) => {
                    match parts.last_mut() {
                        Some(Part::Text(text)) => text.push(letter),
                        _ => parts.push(Part::Text(letter.into())),
                    }
                    continue;
                }
            };
            parts.push(part);
        }
        Ok(Self(parts))
    }

    /// The name for what was written at this time.
    #[must_use]
    pub fn name(&self, time: DateTime) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Year => format!("{:04}", time.year()),
            Part::Month => format!("{:02}", time.month()),
            Part::Day => format!("{:02}", time.day()),
            Part::Hour => format!("{:02}", time.hour()),
            Part::Minute => format!("{:02}", time.minute()),
        };
        self.0.iter().map(part).collect()
    }

    /// Whether the name changes with time.
    #[must_use]
    pub fn changes(&self) -> bool {
        self.0.iter().any(|part| !matches!(part, Part::Text(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(pattern: &str) -> Result<String, usize> {
        Pattern::parse(pattern).map(|pattern| pattern.name(jiff::civil::date(2026, 3, 4).at(5, 6, 7, 0)))
    }

    #[test]
    fn letters_stand_for_parts_of_the_time_as_in_gatekeepers_files() {
        assert_eq!(name("./logs/didi.log.%Y%M%D%H"), Ok("./logs/didi.log.2026030405".to_owned()));
        assert_eq!(name("%H:%m %D.%M.%Y 前 100%%"), Ok("05:06 04.03.2026 前 100%".to_owned()));
    }

    #[test]
    fn what_stands_for_nothing_is_refused_where_it_stands() {
        assert_eq!((name("a%S"), name("ab%"), name("%y")), (Err(1), Err(2), Err(0)));
    }

    #[test]
    fn only_a_pattern_with_a_time_changes() {
        assert!(Pattern::parse("a.%D").expect("a pattern").changes());
        assert!(!Pattern::parse("a.100%%").expect("a pattern").changes());
    }
}
