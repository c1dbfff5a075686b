//! A response head: one verdict at any split, and what is sent back is read as it was meant.
#![no_main]

use gatekeeper::proto::forward::{self, Back};
use gatekeeper::proto::head::{Asked, Method, ResponseBody, Storage, Version, parse_response};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u16, &[u8])| {
    let (choice, bytes) = input;
    let asked = Asked {
        method: if choice & 1 == 0 { Method::Get } else { Method::Head },
        upgrade_websocket: choice & 3 == 2,
    };
    let client_version = if choice & 4 == 0 { Version::Http11 } else { Version::Http10 };
    let mut storage = Storage::new();
    let whole = parse_response(bytes, &asked, 2048, &mut storage);
    let cut = usize::from(choice >> 3) % (bytes.len() + 1);
    let mut shorter = Storage::new();
    match (parse_response(&bytes[..cut], &asked, 2048, &mut shorter), &whole) {
        (Ok(None), _) => {}
        (Ok(Some(part)), Ok(Some(whole))) => assert_eq!(part.head_bytes, whole.head_bytes),
        (Err(part), Err(whole)) => assert_eq!(part, *whole),
        (part, whole) => panic!("{part:?} at {cut}, {whole:?} in all"),
    }
    let Ok(Some(head)) = whole else { return };
    let meant = head.body.onward(client_version);
    let mut sent = Vec::new();
    let back = Back { client_version, close: false, body: meant, date: b"now", upgrade_websocket: head.status == 101 };
    forward::response(&mut sent, &head, &back);
    let mut storage = Storage::new();
    let again = parse_response(&sent, &asked, 1 << 16, &mut storage).expect("ours is good").expect("ours is complete");
    assert_eq!((again.status, again.body, again.head_bytes), (head.status, meant, sent.len()));
    assert_eq!(again.keep_alive, meant != ResponseBody::UntilClose);
    assert!(head.is_interim() || again.has_date);
});
