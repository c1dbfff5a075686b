//! The template of an item, in the syntax of Go's `Regexp.Expand`.
//!
//! `$name` takes the longest run of letters, digits and `_`, so `$1x` is `${1x}`; a name of digits is a
//! group's number; `$$` is a dollar, and so is a `$` that starts none of these. What is
//! literal stands in match form, so a `%` makes no escape with a group that follows it.

use super::form;

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    pieces: Box<[Piece]>,
}

/// What a template is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// In match form.
    Literal(Box<[u8]>),
    Group(usize),
}

/// A reference to a group that the pattern does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnknownGroup {
    /// Where its `$` stands in the template, bytes.
    pub(super) offset: usize,
    /// The group's name or number.
    pub(super) name: String,
}

impl Template {
    /// Compiles a template; `group` says which group a name or number means. Every reference to a group that it
    /// does not know stays empty, as in Go, and comes back too.
    pub(super) fn parse(text: &str, group: impl Fn(&str) -> Option<usize>) -> (Self, Vec<UnknownGroup>) {
        let (mut pieces, mut unknown) = (Vec::new(), Vec::new());
        let mut rest = text;
        while !rest.is_empty() {
            let offset = text.len() - rest.len();
            let (token, after) = next_token(rest);
            match token {
                Token::Literal(literal) => pieces.push(Piece::Literal(form::of_text(literal))),
                Token::Group(name) => match group(name) {
                    Some(index) => pieces.push(Piece::Group(index)),
                    None => unknown.push(UnknownGroup { offset, name: name.to_owned() }),
                },
            }
            rest = after;
        }
        (Self { pieces: pieces.into() }, unknown)
    }

    /// Writes the template with the groups filled in. A group that took no part is empty.
    pub(super) fn expand<'t>(&self, group: impl Fn(usize) -> Option<&'t [u8]>, result: &mut Vec<u8>) {
        for piece in &self.pieces {
            result.extend_from_slice(match piece {
                Piece::Literal(literal) => literal,
                Piece::Group(index) => group(*index).unwrap_or_default(),
            });
        }
    }
}

enum Token<'t> {
    Literal(&'t str),
    Group(&'t str),
}

/// The first token of a text that is not empty, and what comes after it.
fn next_token(text: &str) -> (Token<'_>, &str) {
    let Some(after_dollar) = text.strip_prefix('$') else {
        let (literal, after) = text.split_at(text.find('$').unwrap_or(text.len()));
        return (Token::Literal(literal), after);
    };
    if let Some(after) = after_dollar.strip_prefix('$') {
        return (Token::Literal("$"), after);
    }
    match reference(after_dollar) {
        Some((name, after)) => (Token::Group(name), after),
        None => (Token::Literal("$"), after_dollar),
    }
}

/// The name after a dollar, with or without braces, and what comes after it.
fn reference(text: &str) -> Option<(&str, &str)> {
    let is_name = |char: char| char == '_' || char.is_alphanumeric();
    let braced = text.strip_prefix('{');
    let start = braced.unwrap_or(text);
    let (name, after) = start.split_at(start.find(|char| !is_name(char)).unwrap_or(start.len()));
    let after = if braced.is_some() { after.strip_prefix('}')? } else { after };
    if name.is_empty() { None } else { Some((name, after)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(template: &str) -> String {
        let group = |name: &str| match name {
            "0" => Some(0),
            "1" => Some(1),
            "2" => Some(2),
            "name" => Some(3),
            _ => None,
        };
        let groups: [Option<&[u8]>; 4] = [Some(b"<all>"), Some(b"<one>"), None, Some(b"<name>")];
        let mut result = Vec::new();
        Template::parse(template, group).0.expand(|index| groups[index], &mut result);
        String::from_utf8(result).expect("text")
    }

    #[test]
    fn references_by_number_and_by_name_are_filled_in() {
        assert_eq!(expand("/a/$1/b"), "/a/<one>/b");
        assert_eq!(expand("$0${1}x$name/${name}y"), "<all><one>x<name>/<name>y");
    }

    #[test]
    fn a_group_that_took_no_part_is_empty() {
        assert_eq!(expand("/$2/"), "//");
    }

    #[test]
    fn a_group_that_there_is_not_is_empty() {
        assert_eq!(expand("/$1abc/$9/"), "///");
    }

    #[test]
    fn a_dollar_that_starts_no_reference_is_a_dollar() {
        assert_eq!(expand("$$1"), "$1");
        assert_eq!(expand("a$"), "a$");
        assert_eq!(expand("$-${}${1${1 }"), "$-${}${1${1 }");
    }

    #[test]
    fn a_name_takes_every_letter_it_can_and_is_told_where_no_group_has_it() {
        let (_, unknown) = Template::parse("/x/$1abc/$9", |name| (name == "1").then_some(1));
        assert_eq!(
            unknown,
            [UnknownGroup { offset: 3, name: "1abc".to_owned() }, UnknownGroup { offset: 9, name: "9".to_owned() }]
        );
    }
}
