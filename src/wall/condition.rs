//! Conditions: what a rule demands of a request beside its path, host and method.
//!
//! `header.x-env == blue`, `cookie.group in a, b`, `query.v >= 2`, `header.user-agent ~ ^curl/`: an attribute, an
//! operator and a value, with blanks between them. In scope: reading one and asking it. An attribute that the request
//! does not have fulfils no condition but `!=`, and one that is no number none with `<`, `<=`, `>` or `>=`.

use super::attribute::{Attribute, Parts};
use super::expression::Expression;

/// One demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    attribute: Attribute,
    test: Test,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Is(Box<[u8]>),
    IsNot(Box<[u8]>),
    Number(Order, i64),
    OneOf(Box<[Box<[u8]>]>),
    Matches(Expression),
}

/// How whole numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    Less,
    AtMost,
    More,
    AtLeast,
}

impl Order {
    const ALL: [(Self, &'static str); 4] =
        [(Self::Less, "<"), (Self::AtMost, "<="), (Self::More, ">"), (Self::AtLeast, ">=")];

    fn holds(self, found: i64, wanted: i64) -> bool {
        match self {
            Self::Less => found < wanted,
            Self::AtMost => found <= wanted,
            Self::More => found > wanted,
            Self::AtLeast => found >= wanted,
        }
    }

    fn sign(self) -> &'static str {
        Self::ALL[self as usize].1
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// What is wrong, in one line.
    pub fn parse(text: &str) -> Result<Self, String> {
        const SHAPE: &str = "a condition is an attribute, an operator and a value, such as header.x-env == blue";
        let text = text.trim();
        let (attribute, rest) = text.split_once(' ').ok_or_else(|| format!("`{text}` has no operator: {SHAPE}"))?;
        let rest = rest.trim_start();
        let (operator, value) = rest.split_once(' ').unwrap_or((rest, ""));
        let value = value.trim();
        Ok(Self { attribute: Attribute::parse(attribute)?, test: Test::parse(operator, value)? })
    }

    /// Whether the request fulfils it.
    #[must_use]
    pub fn holds(&self, parts: &Parts<'_>, decoded: &mut Vec<u8>) -> bool {
        let found = self.attribute.value(parts, decoded);
        match (&self.test, found) {
            (Test::IsNot(value), found) => found != Some(value),
            (_, None) => false,
            (Test::Is(value), Some(found)) => *found == **value,
            (Test::Number(order, wanted), Some(found)) => {
                number(found).is_some_and(|number| order.holds(number, *wanted))
            }
            (Test::OneOf(values), Some(found)) => values.iter().any(|value| **value == *found),
            (Test::Matches(expression), Some(found)) => expression.is_match(found),
        }
    }
}

/// Whether the request fulfils all of them.
#[must_use]
pub fn all_hold(conditions: &[Condition], parts: &Parts<'_>, decoded: &mut Vec<u8>) -> bool {
    conditions.iter().all(|condition| condition.holds(parts, decoded))
}

fn number(text: &[u8]) -> Option<i64> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

impl Test {
    fn parse(operator: &str, value: &str) -> Result<Self, String> {
        if let Some((order, _)) = Order::ALL.iter().find(|(_, sign)| *sign == operator) {
            let wanted = value.parse().map_err(|_| format!("`{value}` after {operator} is no whole number"))?;
            return Ok(Self::Number(*order, wanted));
        }
        match operator {
            "==" => Ok(Self::Is(value.as_bytes().into())),
            "!=" => Ok(Self::IsNot(value.as_bytes().into())),
            "~" => Ok(Self::Matches(Expression::parse(value)?)),
            "in" if value.is_empty() => Err("`in` without a value: list them with commas".into()),
            "in" => Ok(Self::OneOf(value.split(',').map(|item| item.trim().as_bytes().into()).collect())),
            _ => Err(format!("`{operator}` is no operator: there are == != < <= > >= in ~")),
        }
    }
}

impl std::fmt::Display for Condition {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        write!(out, "{} ", self.attribute)?;
        match &self.test {
            Test::Is(value) => write!(out, "== {}", text(value)),
            Test::IsNot(value) => write!(out, "!= {}", text(value)),
            Test::Number(order, wanted) => write!(out, "{} {wanted}", order.sign()),
            Test::OneOf(values) => {
                write!(out, "in {}", values.iter().map(|value| text(value)).collect::<Vec<_>>().join(", "))
            }
            Test::Matches(expression) => write!(out, "~ {}", expression.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use httparse::Header;

    use super::*;

    fn holds(condition: &str) -> bool {
        let fields = [
            Header { name: "X-Env", value: b"blue" },
            Header { name: "X-Version", value: b"12" },
            Header { name: "X-Debt", value: b"-3" },
            Header { name: "Cookie", value: b"group=b" },
        ];
        let parts = Parts { query: Some(b"v=2&name=a%20b&empty="), fields: &fields };
        Condition::parse(condition).expect(condition).holds(&parts, &mut Vec::new())
    }

    #[test]
    fn equality_is_of_the_whole_text() {
        assert!(holds("header.x-env == blue"));
        assert!(!holds("header.x-env == Blue"));
        assert!(!holds("header.x-env == blu"));
        assert!(holds("query.name == a b"));
        assert!(holds("query.empty =="));
    }

    #[test]
    fn not_equal_is_the_opposite_of_equal_for_what_is_absent_too() {
        assert!(!holds("header.x-env != blue"));
        assert!(holds("header.x-env != green"));
        assert!(holds("header.absent != blue"));
        assert!(!holds("header.absent == blue"));
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert!(holds("header.x-version > 9"));
        assert!(holds("header.x-version >= 12"));
        assert!(holds("header.x-version <= 12"));
        assert!(!holds("header.x-version < 12"));
        assert!(holds("header.x-debt < 0"));
        assert!(!holds("header.x-env < 5"), "no number");
        assert!(!holds("header.absent < 5"), "absent");
    }

    #[test]
    fn one_of_several_means_one_whole_item() {
        assert!(holds("cookie.group in a, b"));
        assert!(!holds("cookie.group in a, bc"));
        assert!(!holds("cookie.group in ab"));
        assert!(!holds("cookie.absent in a, b"));
    }

    #[test]
    fn an_expression_is_found_anywhere() {
        assert!(holds("header.x-env ~ ^bl"));
        assert!(holds("header.x-env ~ lu"));
        assert!(!holds("header.x-env ~ ^lu"));
        assert!(!holds("header.absent ~ .*"));
    }

    #[test]
    fn what_is_no_condition_is_refused() {
        for text in ["", "header.x", "header.x = 1", "x == 1", "query.v < two", "query.v in", "query.v ~ (", "a"] {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_condition_is_told_as_it_was_read() {
        for text in ["header.x-a == b c", "cookie.a != b", "query.v >= -2", "query.l in de, fr", "query.l ~ ^a|b$"] {
            assert_eq!(Condition::parse(text).expect(text).to_string(), text);
        }
    }
}
