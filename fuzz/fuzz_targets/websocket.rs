//! WebSocket frames: what the tracker knows does not depend on how the bytes were split, from either side.
#![no_main]

use gatekeeper::proto::websocket::Tracker;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, bool, &[u8])| {
    let (size, from_client, bytes) = input;
    let fresh = || if from_client { Tracker::of_client() } else { Tracker::of_server() };
    let (mut whole, mut split) = (fresh(), fresh());
    whole.follow(bytes);
    for piece in bytes.chunks(usize::from(size).max(1)) {
        split.follow(piece);
    }
    let known = |tracker: &Tracker| (tracker.is_between_frames(), tracker.is_closed(), tracker.is_broken());
    assert_eq!(known(&whole), known(&split));
});
