//! A PROXY protocol header: one verdict at any split, bounded, and what is written of it is read back.
#![no_main]

use gatekeeper::limits::PROXY_HEADER_BYTES_MAX;
use gatekeeper::proto::proxy_header::{parse, put_v1, put_v2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (split, bytes) = input;
    let whole = parse(bytes);
    let split = usize::from(split).min(bytes.len());
    // What was said of the first part holds for all: a fault stays one, a header stays that header.
    match parse(&bytes[..split]) {
        Ok(None) => {}
        said => assert_eq!(said, whole),
    }
    let Ok(Some(header)) = whole else { return };
    assert!(header.bytes <= PROXY_HEADER_BYTES_MAX && header.bytes <= bytes.len());
    let Some(source) = header.source else { return };
    for put in [put_v1, put_v2] {
        let mut out = Vec::new();
        put(&mut out, source, source);
        let again = parse(&out).expect("our own").expect("whole");
        assert_eq!(again.source.map(|again| again.ip().to_canonical()), Some(source.ip().to_canonical()));
    }
});
