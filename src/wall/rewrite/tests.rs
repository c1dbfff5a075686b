//! The language as a whole: what an item does to a path, and what is refused at load.

use proptest::prelude::*;

use super::item::Prefix;
use super::substitution::Substitution;
use super::*;

/// A rewrite that may be used, whatever is said of it.
fn parse(text: &str) -> Rewrite {
    let (rewrite, faults) = Rewrite::parse(text);
    assert!(faults.iter().all(|fault| fault.warning), "{text}: {faults:?}");
    rewrite
}

fn apply(text: &str, path: &str) -> String {
    let mut scratch = RewriteScratch::default();
    String::from_utf8(parse(text).apply(path.as_bytes(), &mut scratch).to_vec()).expect("ASCII")
}

fn deciding_item(text: &str, path: &str) -> Option<usize> {
    parse(text).apply_named(path.as_bytes(), &mut RewriteScratch::default()).item
}

/// What is said: whether it is a warning, where, of which item, and what.
fn faults(text: &str) -> Vec<(bool, usize, String, String)> {
    let faults = Rewrite::parse(text).1;
    faults.into_iter().map(|fault| (fault.warning, fault.offset, fault.item, fault.message)).collect()
}

const SHIPPED: &str = "^/gatekeeper/test_http(.*) $1,^/gatekeeper/test_2http(.*) $1";

#[test]
fn gatekeepers_own_items_strip_the_prefix() {
    assert_eq!(apply(SHIPPED, "/gatekeeper/test_http/goods/1"), "/goods/1");
    assert_eq!(apply(SHIPPED, "/gatekeeper/test_2http/goods/1"), "/goods/1");
    assert_eq!(apply(SHIPPED, "/gatekeeper/test_http"), "/");
}

#[test]
fn the_empty_text_and_a_stray_comma_rewrite_nothing() {
    assert!(parse("").is_empty());
    assert!(parse(",").is_empty());
    assert_eq!(parse("^/a(.*) $1,").items().collect::<Vec<_>>(), [("^/a(.*)", "$1")]);
}

#[test]
fn a_path_that_no_item_changes_stays_byte_for_byte() {
    for path in ["/other/a%2fb/%e5%95%86/./x/../y", "/%zz"] {
        assert_eq!(apply(SHIPPED, path), path);
        assert_eq!(apply("q+ y", path), path);
    }
    assert_eq!(deciding_item(SHIPPED, "/other"), None);
}

#[test]
fn each_item_is_applied_to_the_original_and_the_first_that_changes_it_wins() {
    assert_eq!(apply("a b,b c", "/a/b"), "/b/b");
    assert_eq!(deciding_item("a b,b c", "/a/b"), Some(0));
    assert_eq!(apply("^/a /a,^/(.*)$ /z/$1", "/a/b"), "/z/a/b");
    assert_eq!(deciding_item("^/a /a,^/(.*)$ /z/$1", "/a/b"), Some(1));
}

#[test]
fn every_match_is_replaced() {
    assert_eq!(apply("a b", "/a/xay/aa"), "/b/xby/bb");
    assert_eq!(apply("^/a /b", "/a/a"), "/b/a");
}

#[test]
fn a_path_made_of_matches_has_only_so_many_replaced() {
    let path = format!("/{}", "a".repeat(8_000));
    let rewritten = apply("a.*b|a -", &path);
    assert_eq!(rewritten.matches('-').count(), crate::limits::REWRITE_MATCHES_MAX);
    assert_eq!(rewritten.len(), path.len());
}

#[test]
fn empty_matches_are_replaced_as_go_does() {
    assert_eq!(apply("a* x", "/baaau"), "/x/xbxux");
    assert_eq!(apply("a* x", "/"), "/x/x");
    assert_eq!(apply("z* -", "/%C3%A9b"), "/-/-%C3%A9-b-");
}

#[test]
fn groups_by_number_and_by_name_are_filled_in() {
    assert_eq!(apply("^/(v[0-9]+)/(.*)$ /api/${2}/$1", "/v2/users"), "/api/users/v2");
    assert_eq!(apply("^/(?P<version>v\\d)/(.*) /$2/$version", "/v2/users"), "/users/v2");
    assert_eq!(apply("^/a(x)?(.*) /b$1$2$$", "/a/c"), "/b/c$");
}

#[test]
fn patterns_may_be_written_in_any_script() {
    assert_eq!(apply("^/商品/(.*) /goods/$1", "/%E5%95%86%E5%93%81/%E4%B8%80"), "/goods/%E4%B8%80");
    assert_eq!(apply("^/goods/(.)$ /商/$1", "/goods/%C3%A9"), "/%E5%95%86/%C3%A9");
    assert_eq!(apply("^/a\\x20b(.*) $1", "/a%20b/c"), "/c");
}

#[test]
fn an_escaped_separator_is_no_separator_before_and_after() {
    assert_eq!(apply("^/a/(.*) /$1", "/a/b%2Fc%3Fd%3Be"), "/b%2Fc%3Fd%3Be");
    assert_eq!(apply("^/a/b/(.*) /$1", "/a%2Fb/c"), "/a%2Fb/c");
}

#[test]
fn an_escape_cut_apart_is_a_percent_sign() {
    assert_eq!(apply("^/a(%2)F(.*) /$1/$2", "/a%2Fb"), "/%252/b");
}

#[test]
fn a_percent_sign_of_a_template_makes_no_escape_with_what_follows() {
    assert_eq!(apply("^/a/(.*) /%$1", "/a/00"), "/%2500");
    assert_eq!(apply("^/a/([0-9])(.*) /%$1$2", "/a/00"), "/%2500");
    assert_eq!(apply("^/a/(.*) /%20%2f$1", "/a/x"), "/%20%2Fx");
}

#[test]
fn a_question_mark_in_a_template_starts_no_query() {
    assert_eq!(apply("^/a/(.*) /b?x=$1", "/a/1"), "/b%3Fx=1");
}

#[test]
fn no_rewrite_climbs_above_the_root() {
    assert_eq!(apply("^/a(.*) $1", "/a../b"), "/b");
    assert_eq!(apply("^/a(.*) /x/$1", "/a../../b"), "/b");
    assert_eq!(apply("^/a(.*) $1", "/a..;x/b"), "/b");
    assert_eq!(apply("^/a(.*) $1", "/a..%2Fb"), "/");
    assert_eq!(apply("^/x/(.*) /$1.", "/x/."), "/");
}

#[test]
fn go_only_syntax_is_understood() {
    assert_eq!(apply("^/\\Qa.b(c)\\E/(.*) /$1", "/a.b(c)/x"), "/x");
    assert_eq!(apply("^/\\Qa+b /x", "/a+b"), "/x");
}

#[test]
fn character_classes_of_go_know_ascii_only() {
    assert_eq!(apply("\\d #", "/1%D9%A1"), "/%23%D9%A1");
    assert_eq!(apply("\\w -", "/a%C3%A9_"), "/-%C3%A9-");
    assert_eq!(apply("\\W -", "a%C3%A9_"), "/a-_");
    assert_eq!(apply("[\\d[:upper:]] -", "/1Aa%D9%A1"), "/--a%D9%A1");
    assert_eq!(apply("a\\b -", "/a%C3%A9"), "/-%C3%A9");
    assert_eq!(apply("a\\B -", "/ab"), "/-b");
}

#[test]
fn characters_that_are_plain_in_go_are_plain() {
    assert_eq!(apply("[[&~]+ -", "/a&&~~%5B"), "/a-");
    assert_eq!(apply("[]a] -", "/a%5D"), "/--");
    assert_eq!(apply("[^]/] -", "/a%5D"), "/-%5D");
    assert_eq!(apply("^/{id}/(.*) /$1", "/%7Bid%7D/x"), "/x");
    assert_eq!(apply("a{2}b -", "/aab/ab"), "/-/ab");
    assert_eq!(apply("\\<a\\> -", "/%3Ca%3E"), "/-");
}

#[test]
fn an_item_of_the_wrong_shape_is_ignored_with_a_warning_where_it_stands() {
    for (text, offset, item, what) in [
        ("^/a(.*)", 0, "^/a(.*)", "no space"),
        ("^/a /z,^/b(.*)", 7, "^/b(.*)", "no space"),
        ("x y, ^/b(.*) $1", 4, " ^/b(.*) $1", "a space before the pattern"),
        ("x y,商 a b", 9, "商 a b", "more than one space"),
        ("x  y", 2, "x  y", "more than one space"),
        ("x y ", 3, "x y ", "more than one space"),
    ] {
        let shape = "an item is a pattern, one space and a template";
        let message = format!("{what}, so this item is ignored, as GateKeeper does; {shape}");
        assert_eq!(faults(text), [(true, offset, item.to_owned(), message)], "{text}");
    }
    assert_eq!(apply("^/a(.*),^/a  /x,^/a(.*) /b$1,( x y", "/a/c"), "/b/c");
}

#[test]
fn an_empty_pattern_matches_before_every_character_with_a_warning() {
    assert_eq!(apply(" x", "/ab"), "/x/xaxbx");
    let said = faults("a b, x");
    assert_eq!((said.len(), said[0].0, said[0].1), (1, true, 4), "{said:?}");
    assert!(said[0].3.starts_with("the pattern is empty"), "{said:?}");
}

#[test]
fn an_empty_template_takes_the_matches_away() {
    assert_eq!(apply("/a ", "/a/b"), "/b");
    assert_eq!(faults("/a "), []);
}

#[test]
fn a_pattern_that_does_not_compile_is_an_error_in_one_line() {
    assert_eq!(faults("x y,^/(a /b"), [(false, 4, "^/(a /b".to_owned(), "bad pattern: unclosed group".to_owned())]);
    for pattern in ["a**{2}(", "(?=a)", "(a)\\1", "[b-a]", "\\pX", "*", "(?P<1a>x)"] {
        let found = faults(&format!("{pattern} x"));
        assert!(!found[0].0 && found[0].3.starts_with("bad pattern: ") && !found[0].3.contains('\n'), "{found:?}");
    }
}

#[test]
fn a_group_the_pattern_does_not_have_is_empty_with_a_warning_where_it_is_named() {
    assert_eq!(apply("^/(.*) /$1abc/${1}abc$2${who}", "/x"), "//xabc");
    assert_eq!(apply("^/(.*) /b$01", "/x"), "/b", "a number with a leading zero is a name");
    let message = "the pattern has no group `1abc`, so that is empty, as in GateKeeper; \
                   for group 1 and then `abc` write `${1}abc`";
    assert_eq!(faults("x y,^/(.*) /$1abc"), [(true, 12, "^/(.*) /$1abc".to_owned(), message.to_owned())]);
    assert_eq!(faults("^/a /$1")[0].3, "the pattern has no group `1`, so that is empty, as in GateKeeper");
    assert_eq!(faults("^/(a) /${b}$2").len(), 2);
}

#[test]
fn all_that_is_to_be_said_of_every_item_is_said() {
    let said: Vec<_> = faults("( x,ok /,(.) $2$3,y").into_iter().map(|(warning, at, ..)| (warning, at)).collect();
    assert_eq!(said, [(false, 0), (true, 13), (true, 15), (true, 18)]);
}

#[test]
fn items_are_told_as_written() {
    assert_eq!(
        parse(SHIPPED).items().collect::<Vec<_>>(),
        [("^/gatekeeper/test_http(.*)", "$1"), ("^/gatekeeper/test_2http(.*)", "$1")]
    );
}

#[test]
fn the_usual_item_takes_no_engine_and_copies_nothing() {
    let path = b"/gatekeeper/test_http/goods/1";
    let mut scratch = RewriteScratch::default();
    let rewritten = parse(SHIPPED).apply(path, &mut scratch);
    assert!(std::ptr::eq(rewritten, &path[21..]));
}

#[test]
fn what_a_prefix_cannot_say_is_left_to_the_engine() {
    for (pattern, template) in [
        ("/a(.*)", "$1"),
        ("^/a.(.*)", "$1"),
        ("^/a(.+)", "$1"),
        ("^/a\\d(.*)", "$1"),
        ("^/a\\Qb\\E(.*)", "$1"),
        ("^/a|b(.*)", "$1"),
        ("^/a(.*)", "$1/b"),
        ("^/a(.*)", "$10"),
        ("^/a(.*)", "$$1"),
        ("^/a(.*)", "$0$1"),
    ] {
        assert_eq!(Prefix::parse(pattern, template), None, "{pattern} {template}");
    }
    assert!(Prefix::parse("^/a\\.b-c_d(.*)$", "/x${1}").is_some());
}

fn shaped(text: &str, mode: Mode, strip: usize, path: &str) -> String {
    let mut scratch = RewriteScratch::default();
    String::from_utf8(parse(text).with(mode, strip).apply(path.as_bytes(), &mut scratch).to_vec()).expect("ASCII")
}

#[test]
fn in_sequence_each_item_sees_what_came_before() {
    let items = "^/a(.*) /b$1,^/b(.*) /c$1,x y";
    assert_eq!(shaped(items, Mode::Sequence, 0, "/a/x"), "/c/y");
    assert_eq!(shaped(items, Mode::First, 0, "/a/x"), "/b/x");
    assert_eq!(shaped("^/a(.*) $1,^/b(.*) $1", Mode::Sequence, 0, "/a/b/c"), "/c");
    assert_eq!(shaped(items, Mode::Sequence, 0, "/q%2Fq"), "/q%2Fq");
}

#[test]
fn a_prefix_is_taken_off_before_the_items() {
    for (path, rest) in [("/svc/a", "/a"), ("/svc", "/"), ("/svc/", "/")] {
        assert_eq!(shaped("", Mode::First, 4, path), rest);
        assert_eq!(shaped("", Mode::Sequence, 4, path), rest);
    }
    assert_eq!(shaped("^/svc(.*) /no$1,^/a(.*) /z$1", Mode::First, 4, "/svc/a"), "/z");
}

proptest! {
    #[test]
    fn the_way_without_an_engine_does_what_the_engine_does(
        pattern in r"\^(/[a%.]?|\\\.|é){0,3}\(\.\*\)\$?",
        template in r"(/[a%?]?|\.|é){0,3}(\$1|\$\{1\})",
        path in "(/(a|\\.|%2[eEF]|%25|%C3%A9|%0A|\n|é){0,3}){1,3}",
    ) {
        let pattern = pattern.replace(".(", "\\.(").replace("a.", "a\\.");
        let Some(prefix) = Prefix::parse(&pattern, &template) else { return Ok(()) };
        let (regex, _) = Substitution::new(&pattern, &template).expect("compiles");
        let (mut buffer, mut with, mut without) = (Vec::new(), Vec::new(), Vec::new());
        let form = form::decoded(path.as_bytes(), &mut buffer);
        regex.replace_all(form, &mut with, &mut scratch::Caches::default());
        let without = match prefix.replace(form, &mut without) {
            Outcome::Same => form,
            Outcome::Tail(start) => &form[start..],
            Outcome::Made => &without,
        };
        prop_assert_eq!(without, with);
    }

    #[test]
    fn an_anchored_pattern_does_the_same_on_fewer_engines(
        rest in r"(/|a|\.|\[\^/\]\+|\(\.\*\)|\(a\|b\)|\\w){0,4}\$?",
        path in "(/(a|b|%20|%C3%A9){0,3}){1,4}",
    ) {
        let (fewer, all) = (format!("^{rest} -$1-"), format!("(?:^{rest}) -$1-"));
        prop_assert_eq!(apply(&fewer, &path), apply(&all, &path));
    }

    #[test]
    fn whatever_is_put_in_a_path_that_can_be_sent_comes_out(
        text in "[ab/^$().*+?|,\\\\ \\[\\]{}1%é-]{0,24}",
        path in "/([ab/.;?# ]|%2[0eEfF5]|%E5|é|%){0,24}",
    ) {
        let (rewrite, _) = Rewrite::parse(&text);
        let mut scratch = RewriteScratch::default();
        let rewritten = rewrite.apply_named(path.as_bytes(), &mut scratch);
        if rewritten.item.is_some() {
            prop_assert!(rewritten.path.starts_with(b"/"));
            prop_assert!(rewritten.path.iter().all(|&byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)));
            prop_assert!(!rewritten.path.split(|&byte| byte == b'/').any(|segment| segment == b".."));
        } else {
            prop_assert_eq!(rewritten.path, path.as_bytes());
        }
    }

    #[test]
    fn a_sequence_is_one_rewrite_after_another(path in "(/[abc]{1,3}){1,4}", items in prop::collection::vec("[abc] [abc]|\\^/[abc]\\(\\.\\*\\) /[abc]\\$1", 1..4)) {
        let after = items.iter().fold(path.clone(), |path, item| apply(item, &path));
        prop_assert_eq!(shaped(&items.join(","), Mode::Sequence, 0, &path), after);
    }
}
