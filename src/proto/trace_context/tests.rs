//! The rules of the Recommendation one by one, and what holds for every input.

use proptest::prelude::*;

use super::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn parse(text: &str) -> Option<TraceParent> {
    TraceParent::parse(text.as_bytes())
}

fn fields<'f>(lines: &[(&'f str, &'f str)]) -> Vec<Header<'f>> {
    lines.iter().map(|(name, value)| Header { name, value: value.as_bytes() }).collect()
}

fn replaced(lines: &[(&str, &str)]) -> Vec<usize> {
    let fields = fields(lines);
    Incoming::read(&fields).replaced(&fields).iter().collect()
}

#[test]
fn version_00_is_read_and_written() {
    let text = format!("00-{TRACE}-{SPAN}-01");
    let read = parse(&text).expect("the Recommendation's own example");
    assert!(read.is_sampled());
    assert_eq!(read.text(), text.as_bytes());
    assert_eq!((&read.trace.text()[..], &read.parent.text()[..]), (TRACE.as_bytes(), SPAN.as_bytes()));
    assert!(!parse(&format!("00-{TRACE}-{SPAN}-00")).expect("not sampled").is_sampled());
}

#[test]
fn what_breaks_a_rule_is_no_parent() {
    for broken in [
        String::new(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-0"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("00-{TRACE}-{SPAN}-01-what"),
        format!("00-{TRACE}-{SPAN}-011"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("FF-{TRACE}-{SPAN}-01"),
        format!("cC-{TRACE}-{SPAN}-01"),
        format!("0-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{TRACE}-{}-01", SPAN.to_uppercase()),
        format!("00-{}g-{SPAN}-01", &TRACE[1..]),
        format!("00-{}-{SPAN}-01", &TRACE[1..]),
        format!("00_{TRACE}-{SPAN}-01"),
        format!("00-{TRACE}-{SPAN}-0G"),
        format!("00-{TRACE}-{SPAN}-.0"),
        format!(" 00-{TRACE}-{SPAN}-01"),
    ] {
        assert_eq!(parse(&broken), None, "{broken}");
    }
}

#[test]
fn a_higher_version_is_read_as_00_with_what_follows_left_out() {
    for higher in ["cc", "01", "fe"] {
        for tail in ["", "-", "-what-the-future-will-be-like"] {
            let read = parse(&format!("{higher}-{TRACE}-{SPAN}-01{tail}")).expect("readable");
            assert_eq!(read.text(), format!("00-{TRACE}-{SPAN}-01").as_bytes());
        }
        assert_eq!(parse(&format!("{higher}-{TRACE}-{SPAN}-01.what")), None);
        assert_eq!(parse(&format!("{higher}-{TRACE}-{SPAN}-011")), None);
    }
}

#[test]
fn flags_that_nobody_knows_are_not_sent_on() {
    let flags = |version: &str, flags: &str| parse(&format!("{version}-{TRACE}-{SPAN}-{flags}")).map(|read| read.flags);
    assert_eq!(flags("00", "ff"), Some(SAMPLED | RANDOM));
    assert_eq!(flags("00", "fc"), Some(0));
    assert_eq!(flags("01", "ff"), Some(SAMPLED));
}

#[test]
fn two_parents_are_none() {
    let one = format!("00-{TRACE}-{SPAN}-01");
    let both = fields(&[("traceparent", &one), ("TraceParent", &one)]);
    assert!(Incoming::read(&both).parent.is_none());
    assert!(Incoming::read(&both[..1]).parent.is_some());
    let broken_last = fields(&[("traceparent", &one), ("traceparent", "?"), ("traceparent", &one)]);
    assert!(Incoming::read(&broken_last).parent.is_none());
}

#[test]
fn the_state_stays_with_its_trace_and_goes_without() {
    let good = format!("00-{TRACE}-{SPAN}-01");
    let lines =
        |parent, state| [("Accept", "a"), ("traceparent", parent), ("tracestate", state), ("tracestate", "b=2")];
    assert_eq!(replaced(&lines(&good, "a=1")), [1]);
    assert_eq!(replaced(&lines(&good, "a=1,=")), [1, 2, 3], "one broken field breaks the state");
    assert_eq!(replaced(&lines("broken", "a=1")), [1, 2, 3]);
    assert_eq!(replaced(&[("tracestate", "a=1")]), [0], "a state without a trace says nothing");
    assert_eq!(replaced(&[("didi-header-spanid", SPAN), ("traceparent", &good)]), [0, 1]);
}

#[test]
fn gatekeepers_own_span_is_read_in_its_own_form_only() {
    let read = |text| Incoming::read(&fields(&[("Didi-Header-SpanId", text)])).own_parent;
    assert_eq!(read(SPAN), SpanId::of_text(SPAN.as_bytes()));
    for other in ["", "7", "0000000000000000", "00F067AA0BA902B7", "00f067aa0ba902b7a"] {
        assert_eq!(read(other), None, "{other}");
    }
}

fn state(values: &[&str]) -> bool {
    is_state(values.iter().map(|value| value.as_bytes()))
}

#[test]
fn members_of_a_state_are_keys_with_values() {
    let (key, tenant) = (format!("{}=1", "z".repeat(256)), format!("{}@{}=1", "t".repeat(241), "v".repeat(14)));
    let value = format!("a={}", "0".repeat(256));
    for good in
        ["", " ", ",", "foo=1", "foo=1,bar=2", "foo=1 \t , \t bar=2", "a-z_0*/=x", "0t@sys=1", "foo= a b", "a=@"]
    {
        assert!(state(&[good]), "{good}");
    }
    assert!(state(&[&key, &tenant, &value]));
    assert!(state(&["foo=1", "", "bar=2"]));
    assert!(state(&["foo=1,foo=2"]));
}

#[test]
fn a_state_that_breaks_a_rule_is_none() {
    let (key, value) = (format!("{}=1", "z".repeat(257)), format!("a={}", "0".repeat(257)));
    let (tenant, system) = (format!("{}@v=1", "t".repeat(242)), format!("t@{}=1", "v".repeat(15)));
    for broken in [
        "foo",
        "=1",
        "foo=",
        "foo=bar=baz",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "0foo=1",
        "foo@=1",
        "@foo=1",
        "foo@@bar=1",
        "foo@bar@baz=1",
        "foo@0bar=1",
        "foo=\u{e4}",
        "foo=a\tb",
        "foo=1,b",
        &key,
        &value,
        &tenant,
        &system,
    ] {
        assert!(!state(&[broken]), "{broken}");
    }
}

#[test]
fn a_state_has_32_members_at_most() {
    let members: Vec<_> = (0..33).map(|number| format!("bar{number}=1")).collect();
    assert!(state(&[&members[..32].join(",")]));
    assert!(!state(&[&members.join(",")]));
    assert!(!state(&[&members[..20].join(","), &members[20..].join(",")]));
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(trace: u128, parent: u64, flags in 0_u8..4) {
        let ours = TraceParent { trace: TraceId::new(trace), parent: SpanId::new(parent), flags };
        prop_assert_eq!(TraceParent::parse(&ours.text()), Some(ours));
    }

    #[test]
    fn what_is_read_of_any_bytes_says_the_same_when_written(value: Vec<u8>) {
        if let Some(read) = TraceParent::parse(&value) {
            prop_assert_eq!(TraceParent::parse(&read.text()), Some(read));
        }
    }

    #[test]
    fn a_changed_byte_is_another_parent_or_none(at in 0..TRACEPARENT_BYTES, byte: u8) {
        let text = format!("00-{TRACE}-{SPAN}-01").into_bytes();
        let mut changed = text.clone();
        changed[at] = byte;
        let same = !(2..=52).contains(&at) || changed == text;
        prop_assert!(same || TraceParent::parse(&changed) != TraceParent::parse(&text));
    }

    #[test]
    fn a_state_is_one_however_its_fields_are_cut(members in prop::collection::vec("[a-z@=, ]{0,6}", 0..6), at in 0_usize..6) {
        let at = at.min(members.len());
        let whole = members.join(",");
        let (left, right) = (members[..at].join(","), members[at..].join(","));
        prop_assert_eq!(state(&[&whole]), state(&[&left, &right]));
    }
}
