//! A path: the normaliser is idempotent, its result is rooted and holds no dot segment, and form text
//! without a name does not hold that name.
#![no_main]

use gatekeeper::proto::{form, target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (bool, &[u8])| {
    let (merge, bytes) = input;
    let mut first = Vec::new();
    if let Ok(once) = target::canonical(bytes, merge, &mut first) {
        assert!(once.starts_with(b"/") && once.len() <= bytes.len().max(1));
        let mut segments = once.split(|&byte| byte == b'/').skip(1);
        assert!(segments.all(|segment| segment != b"." && segment != b".."));
        assert!(!merge || !once.windows(2).any(|pair| pair == b"//"));
        assert_eq!(target::canonical(once, merge, &mut Vec::new()), Ok(once));
    }
    let mut stripped = Vec::new();
    form::strip(bytes, &[b"app_id"], &mut stripped);
    assert!(form::find(&stripped, b"app_id", &mut Vec::new()).is_none());
});
