//! WebSocket frame boundaries (RFC 6455 section 5): where one frame ends and the next begins.
//!
//! In scope: reading headers as bytes pass, so that a frame of our own can be put between two others, and that
//! frame. Nothing is altered, unmasked or held back; extensions and payloads are not looked at. Out of scope:
//! the handshake (`framing`), when to say what (`worker::relay::tunnel`).

/// Status code of an endpoint that goes away (RFC 6455 section 7.4.1).
const GOING_AWAY: [u8; 2] = 1001_u16.to_be_bytes();
const CLOSE: u8 = 8;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Payload bytes of a control frame at most.
const CONTROL_BYTES_MAX: u64 = 125;

/// Follows the frames of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Tracker {
    /// Whether this direction's frames must be masked: a client's are, a server's are not.
    masked: bool,
    place: Place,
}

/// Where the last byte left us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In a header of which so many bytes have come; 0 is between two frames.
    Header { have: u8, first: u8, second: u8, length: u64 },
    /// So many payload bytes are to come, at least one.
    Payload { rest: u64, closes: bool },
    /// A whole Close frame has passed: nothing may follow.
    Closed,
    /// These were no frames.
    Broken,
}

const BETWEEN: Place = Place::Header { have: 0, first: 0, second: 0, length: 0 };

impl Tracker {
    /// For what a client sends.
    #[must_use]
    pub fn of_client() -> Self {
        Self { masked: true, place: BETWEEN }
    }

    /// For what a server sends.
    #[must_use]
    pub fn of_server() -> Self {
        Self { masked: false, place: BETWEEN }
    }

    /// Takes note of bytes up to the end of the frame that the first of them belongs to, or of all.
    /// Gives how many these are.
    pub fn step(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while let Place::Header { have, .. } = &mut self.place {
            let Some(byte) = bytes.get(taken) else { return taken };
            *have += 1;
            taken += 1;
            if self.take_header_byte(*byte) {
                return taken;
            }
        }
        let Place::Payload { rest, closes } = &mut self.place else { return bytes.len() };
        let here = usize::try_from(*rest).unwrap_or(usize::MAX).min(bytes.len() - taken);
        *rest -= here as u64;
        if *rest == 0 {
            self.place = if *closes { Place::Closed } else { BETWEEN };
        }
        taken + here
    }

    /// Takes note of all bytes.
    pub fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.step(bytes);
            bytes = &bytes[taken..];
        }
    }

    /// Whether a frame may be put in here.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        matches!(self.place, Place::Header { have: 0, .. })
    }

    /// Whether a Close has passed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.place == Place::Closed
    }

    /// Whether the bytes were no frames; they are not followed any more.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.place == Place::Broken
    }

    /// One more byte of a header, already counted. True when it ends a frame without payload.
    fn take_header_byte(&mut self, byte: u8) -> bool {
        let Place::Header { have, first, second, length } = &mut self.place else { return false };
        match *have {
            1 => *first = byte,
            2 => *second = byte,
            place if place <= 2 + extended_bytes(*second) => *length = *length << 8 | u64::from(byte),
            _ => {}
        }
        if *have < 2 || *have < header_bytes(*second) {
            return false;
        }
        let (first, second, length) = (*first, *second, *length);
        let rest = if extended_bytes(second) == 0 { u64::from(second & !MASKED) } else { length };
        let closes = first & 15 == CLOSE;
        self.place = match (is_well_formed(first, second, rest, self.masked), rest, closes) {
            (false, ..) => Place::Broken,
            (true, 0, true) => Place::Closed,
            (true, 0, false) => BETWEEN,
            (true, ..) => Place::Payload { rest, closes },
        };
        rest == 0
    }
}

/// Bytes of the extended length.
fn extended_bytes(second: u8) -> u8 {
    match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

fn header_bytes(second: u8) -> u8 {
    let key = if second & MASKED == 0 { 0 } else { 4 };
    2 + extended_bytes(second) + key
}

/// What every frame keeps to, with whatever extension: the reserved bits are an extension's.
fn is_well_formed(first: u8, second: u8, length: u64, masked: bool) -> bool {
    let shortest = match extended_bytes(second) {
        0 => true,
        2 => length > CONTROL_BYTES_MAX,
        _ => length > u64::from(u16::MAX) && length >> 63 == 0,
    };
    let known = match first & 15 {
        0..=2 => true,
        CLOSE..=10 => first & FINAL != 0 && length <= CONTROL_BYTES_MAX,
        _ => false,
    };
    shortest && known && (second & MASKED != 0) == masked
}

/// A Close frame of ours, going away.
#[derive(Clone, Copy, Debug)]
pub struct Close {
    bytes: [u8; 8],
    length: usize,
}

impl Close {
    /// For a client.
    #[must_use]
    pub fn to_client() -> Self {
        let [high, low] = GOING_AWAY;
        Self { bytes: [FINAL | CLOSE, 2, high, low, 0, 0, 0, 0], length: 4 }
    }

    /// For a server, masked with a key that nobody can foresee.
    #[must_use]
    pub fn to_server(key: [u8; 4]) -> Self {
        let [high, low] = GOING_AWAY;
        let [a, b, c, d] = key;
        Self { bytes: [FINAL | CLOSE, MASKED | 2, a, b, c, d, high ^ a, low ^ b], length: 8 }
    }

    /// As it goes out.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A frame as RFC 6455 section 5.2 draws it.
    fn frame(first: u8, payload: usize, key: Option<[u8; 4]>) -> Vec<u8> {
        let mask = if key.is_some() { MASKED } else { 0 };
        let mut bytes = vec![first];
        match payload {
            0..=125 => bytes.push(mask | u8::try_from(payload).unwrap()),
            126..=65_535 => {
                bytes.push(mask | 126);
                bytes.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(mask | 127);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend(key.unwrap_or_default().iter().take(if key.is_some() { 4 } else { 0 }));
        bytes.extend(std::iter::repeat_n(0xa5, payload));
        bytes
    }

    fn lengths() -> impl Strategy<Value = usize> {
        prop_oneof![0_usize..130, Just(125), Just(126), Just(65_535), Just(65_536), 60_000_usize..70_000]
    }

    /// Opcodes, with the final and the reserved bits that an extension may set.
    fn firsts() -> impl Strategy<Value = u8> {
        (0_u8..3, any::<u8>()).prop_map(|(opcode, bits)| opcode | bits & 0xf0)
    }

    proptest! {
        #[test]
        fn ends_of_frames_are_found_at_every_split(
            frames in prop::collection::vec((firsts(), lengths()), 1..5),
            cuts in prop::collection::vec(1_usize..5_000, 1..40),
            client: bool,
        ) {
            let key = client.then_some([1, 2, 3, 4]);
            let mut tracker = if client { Tracker::of_client() } else { Tracker::of_server() };
            let mut ends = Vec::new();
            let mut all = Vec::new();
            for (first, payload) in frames {
                all.extend(frame(first, payload, key));
                ends.push(all.len());
            }
            let (mut place, mut found, mut cut) = (0, Vec::new(), 0);
            while place < all.len() {
                let piece = (all.len() - place).min(cuts[cut % cuts.len()]);
                cut += 1;
                let until = place + piece;
                while place < until {
                    place += tracker.step(&all[place..until]);
                    if tracker.is_between_frames() {
                        found.push(place);
                    }
                }
            }
            prop_assert_eq!(found, ends);
        }

        #[test]
        fn any_bytes_at_any_split_end_in_the_same_place(
            bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0_usize..300, client: bool,
        ) {
            let tracker = || if client { Tracker::of_client() } else { Tracker::of_server() };
            let cut = cut.min(bytes.len());
            let (mut whole, mut split) = (tracker(), tracker());
            whole.follow(&bytes);
            split.follow(&bytes[..cut]);
            split.follow(&bytes[cut..]);
            prop_assert_eq!(whole.place, split.place);
        }
    }

    #[test]
    fn what_is_no_frame_is_not_followed() {
        for wrong in [
            &[0x83, 0][..],                             // an opcode nobody knows
            &[0x82, 0x80, 1, 2, 3, 4],                  // a server masks
            &[0x08, 0],                                 // a control frame in parts
            &[0x89, 126, 0, 126],                       // a long control frame
            &[0x82, 126, 0, 125],                       // not the shortest length
            &[0x82, 127, 0, 0, 0, 0, 0, 0, 255, 255],   // not the shortest length
            &[0x82, 127, 128, 0, 0, 0, 0, 0, 255, 255], // longer than may be
        ] {
            let mut tracker = Tracker::of_server();
            tracker.follow(wrong);
            assert!(tracker.is_broken() && !tracker.is_between_frames(), "{wrong:?}");
        }
        let mut tracker = Tracker::of_client();
        tracker.follow(&[0x82, 0]);
        assert!(tracker.is_broken(), "a client must mask");
    }

    #[test]
    fn our_own_close_is_a_close() {
        let mut down = Tracker::of_server();
        down.follow(Close::to_client().bytes());
        assert!(down.is_closed());
        let close = Close::to_server([9, 8, 7, 6]);
        let mut up = Tracker::of_client();
        up.follow(close.bytes());
        assert!(up.is_closed());
        assert_eq!([close.bytes()[6] ^ 9, close.bytes()[7] ^ 8], [3, 233]);
    }
}
