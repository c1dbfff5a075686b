//! Forms of a target and the normaliser: one test for each rule.

use super::*;

fn canonicalised(path: &str, merge: bool) -> Result<String, End> {
    let mut scratch = Vec::new();
    canonical(path.as_bytes(), merge, &mut scratch).map(|path| String::from_utf8(path.to_vec()).unwrap())
}

fn becomes(path: &str, expected: &str) {
    for merge in [true, false] {
        assert_eq!(canonicalised(path, merge).as_deref(), Ok(expected), "{path}");
    }
}

fn refused(path: &str) {
    for merge in [true, false] {
        assert_eq!(canonicalised(path, merge), Err(End::BadPath), "{path}");
    }
}

#[test]
fn a_canonical_path_is_not_copied() {
    for path in ["/", "/a/b", "/a.b/c..d", "/a;b/.well-known"] {
        let mut scratch = Vec::new();
        assert_eq!(canonical(path.as_bytes(), true, &mut scratch), Ok(path.as_bytes()));
        assert!(scratch.capacity() == 0 || path.contains("/."), "{path}");
    }
}

#[test]
fn unreserved_escapes_are_decoded_and_others_upper_cased() {
    becomes("/%61%5f%7E%2d%30/%2f%c3%a4%3b%25", "/a_~-0/%2F%C3%A4%3B%25");
}

#[test]
fn dot_segments_are_removed() {
    becomes("/a/./b", "/a/b");
    becomes("/a/../b", "/b");
    becomes("/a/b/..", "/a/");
    becomes("/a/.", "/a/");
    becomes("/.", "/");
    becomes("/a/..", "/");
    becomes("/a/%2e%2E/b", "/b");
    becomes("/a/.%2e", "/");
    becomes("/...", "/...");
    becomes("/a/.../b", "/a/.../b");
    becomes("/.a/..b/c.", "/.a/..b/c.");
}

#[test]
fn a_climb_above_the_root_is_refused() {
    for path in ["/..", "/../a", "/a/../..", "/%2e%2e/a", "/./..", "/a/../../b/c"] {
        refused(path);
    }
}

#[test]
fn empty_segments_are_merged_if_asked() {
    for (path, merged, kept) in [
        ("//", "/", "//"),
        ("//a", "/a", "//a"),
        ("/a//b///c", "/a/b/c", "/a//b///c"),
        ("/a//", "/a/", "/a//"),
        ("/a//../b", "/b", "/a/b"),
        ("/a//.", "/a/", "/a//"),
        ("/a/..//b", "/b", "//b"),
        ("//..", "", "/"),
    ] {
        let expected = if merged.is_empty() { Err(End::BadPath) } else { Ok(merged) };
        assert_eq!(canonicalised(path, true).as_deref(), expected.as_ref().copied(), "{path}");
        assert_eq!(canonicalised(path, false).as_deref(), Ok(kept), "{path}");
    }
}

#[test]
fn invalid_escapes_and_encoded_controls_are_refused() {
    for path in [
        "/%",
        "/%4",
        "/%zz",
        "/%4g",
        "/a%",
        "/%%41",
        "/%00",
        "/%0d",
        "/%0A",
        "/%1f",
        "/%7f",
        "/a/%0d%0aX: y",
        "/%+1",
        "/%u0041",
    ] {
        refused(path);
    }
}

#[test]
fn bytes_no_path_may_hold_are_refused() {
    for path in ["", "a", "*", "/a b", "/a\tb", "/a#b", "/a?b", "/a\\b", "/\u{e4}", "/a\r\nb", "/\0"] {
        refused(path);
    }
}

#[test]
fn hidden_dot_segments_are_refused() {
    for path in [
        "/a/..%2fb",
        "/a/..%2Fb",
        "/a/%2e%2e%2fb",
        "/a/%2e%2e%5cb",
        "/a/b%2f..",
        "/a/b%2f../c",
        "/a%5c..%5cb",
        "/a/..;/b",
        "/a/..;x=y/b",
        "/a/.;/b",
        "/a/..%3b/b",
        "/a/%2e%2e;",
        "/a/b%2f..%2fc",
        "/a/b;p%2f..",
        "/%2f..",
        "/a/.%2f",
        "/a/%252e%252e%252fb",
        "/a/%252e%252e%255cb",
        "/a/%252e%252e/b",
        "/a/%25252e.;/b",
        "/a/..%252fb",
    ] {
        refused(path);
    }
}

#[test]
fn an_encoded_slash_stays_and_never_separates() {
    becomes("/a%2fb/../c", "/c");
    becomes("/a%2Fb", "/a%2Fb");
    becomes("/a%5cb", "/a%5Cb");
    becomes("/%2f", "/%2F");
    becomes("/a%2f...%2fb;..", "/a%2F...%2Fb;..");
}

#[test]
fn forms_of_a_target() {
    let plain = |path, query, authority| Ok(Target { path, query, authority, asterisk: false });
    assert_eq!(split(Method::Get, b"/a?b?c"), plain(b"/a", Some(b"b?c"), None));
    assert_eq!(split(Method::Get, b"//a"), plain(b"//a", None, None));
    assert_eq!(split(Method::Get, b"/?"), plain(b"/", Some(b""), None));
    assert_eq!(split(Method::Get, b"hTTp://a:1"), plain(b"/", None, Some(b"a:1")));
    assert_eq!(split(Method::Get, b"http://[::1]/b"), plain(b"/b", None, Some(b"[::1]")));
    assert_eq!(split(Method::Options, b"http://a/"), plain(b"/", None, Some(b"a")));
    assert_eq!(split(Method::Options, b"http://a?"), plain(b"/", Some(b""), Some(b"a")));
    for bad in [
        "a",
        "http:/a",
        "http://",
        "http:///a",
        "http://u@a/",
        "http://a:x/",
        "https://a/",
        "ftp://a/",
        "a:80",
        "?a",
        "*",
        "http:a",
    ] {
        assert_eq!(split(Method::Get, bad.as_bytes()), Err(End::BadTarget), "{bad}");
    }
}
