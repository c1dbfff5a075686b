//! What every byte of a message is, on the wire: a frame's head where there is one, the message's number, a pattern.
//!
//! In scope: writing any part of a message, telling whether any part is right. Out of scope: sockets.

use crate::args::Shape;

/// Bytes of the number that a message begins with.
const NUMBER_BYTES: usize = 8;
/// The mask of every frame from the client: what it is makes no difference to a proxy, that there is one might.
const MASK: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];
const FINAL_BINARY: u8 = 0x82;
const MASKED: u8 = 0x80;
/// The longest part of a message that depends on its number: a masked frame's head and the number itself.
const FRONT_BYTES_MAX: usize = 6 + NUMBER_BYTES;

/// One direction's messages: all the same but for their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    frame_head: Vec<u8>,
    mask: [u8; 4],
    /// What follows the number, masked already.
    pattern: Vec<u8>,
}

impl Message {
    /// The client's message.
    pub(crate) fn ask(shape: Shape) -> Self {
        let head = [&[FINAL_BINARY, MASKED | shape.ask_bytes as u8], MASK.as_slice()].concat();
        if shape.websocket { Self::new(head, MASK, shape.ask_bytes) } else { Self::plain(shape.ask_bytes) }
    }

    /// The origin's.
    pub(crate) fn answer(shape: Shape) -> Self {
        let head = vec![FINAL_BINARY, shape.answer_bytes as u8];
        if shape.websocket { Self::new(head, [0; 4], shape.answer_bytes) } else { Self::plain(shape.answer_bytes) }
    }

    fn plain(bytes: usize) -> Self {
        Self::new(Vec::new(), [0; 4], bytes)
    }

    fn new(frame_head: Vec<u8>, mask: [u8; 4], bytes: usize) -> Self {
        let mut state = 0x9E37_79B9_u32;
        let next = |index: usize| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[1] ^ mask[index % mask.len()]
        };
        // NUMBER_BYTES is a multiple of the mask's length, so the pattern begins with the mask's first byte.
        let pattern = (0..bytes - NUMBER_BYTES).map(next).collect();
        Self { frame_head, mask, pattern }
    }

    /// Bytes of a message on the wire.
    pub(crate) fn wire_bytes(&self) -> usize {
        self.frame_head.len() + NUMBER_BYTES + self.pattern.len()
    }

    /// Writes message `number` from `offset` on, as much as fits; tells how much.
    pub(crate) fn write(&self, number: u64, offset: usize, into: &mut [u8]) -> usize {
        let bytes = into.len().min(self.wire_bytes() - offset);
        let (front, split) = self.front(number);
        let from_front = split.saturating_sub(offset).min(bytes);
        into[..from_front].copy_from_slice(&front[offset.min(split)..][..from_front]);
        let pattern = &self.pattern[(offset + from_front).saturating_sub(split)..][..bytes - from_front];
        into[from_front..bytes].copy_from_slice(pattern);
        bytes
    }

    /// Whether `bytes` are those of message `number` from `offset` on, and not beyond its end.
    pub(crate) fn is(&self, number: u64, offset: usize, bytes: &[u8]) -> bool {
        if bytes.len() > self.wire_bytes() - offset {
            return false;
        }
        let (front, split) = self.front(number);
        let from_front = split.saturating_sub(offset).min(bytes.len());
        let pattern_at = (offset + from_front).saturating_sub(split);
        bytes[..from_front] == front[offset.min(split)..][..from_front]
            && bytes[from_front..] == self.pattern[pattern_at..][..bytes.len() - from_front]
    }

    /// What depends on the number, and how long it is.
    fn front(&self, number: u64) -> ([u8; FRONT_BYTES_MAX], usize) {
        let mut front = [0; FRONT_BYTES_MAX];
        let head = self.frame_head.len();
        front[..head].copy_from_slice(&self.frame_head);
        for (index, byte) in number.to_le_bytes().into_iter().enumerate() {
            front[head + index] = byte ^ self.mask[index % self.mask.len()];
        }
        (front, head + NUMBER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shapes() -> impl Iterator<Item = Shape> {
        [(false, 8, 300), (false, 64, 64), (true, 64, 64), (true, 8, 125)]
            .map(|(websocket, ask_bytes, answer_bytes)| Shape { ask_bytes, answer_bytes, websocket })
            .into_iter()
    }

    #[test]
    fn a_message_in_any_two_parts_is_itself() {
        for shape in shapes() {
            for message in [Message::ask(shape), Message::answer(shape)] {
                let mut whole = vec![0; message.wire_bytes() + 9];
                assert_eq!(message.write(70_000, 0, &mut whole), message.wire_bytes());
                whole.truncate(message.wire_bytes());
                for split in 0..=whole.len() {
                    let mut rest = vec![0; whole.len()];
                    let bytes = message.write(70_000, split, &mut rest);
                    assert_eq!(&rest[..bytes], &whole[split..]);
                    assert!(message.is(70_000, 0, &whole[..split]) && message.is(70_000, split, &whole[split..]));
                }
            }
        }
    }

    #[test]
    fn another_byte_number_or_length_is_another_message() {
        for shape in shapes() {
            let message = Message::ask(shape);
            let mut whole = vec![0; message.wire_bytes()];
            message.write(5, 0, &mut whole);
            assert!(!message.is(6, 0, &whole));
            for index in 0..whole.len() {
                whole[index] ^= 1;
                assert!(!message.is(5, 0, &whole), "byte {index}");
                whole[index] ^= 1;
            }
            whole.push(0);
            assert!(!message.is(5, 0, &whole));
        }
    }

    #[test]
    fn a_frame_from_the_client_is_masked() {
        let shape = Shape { ask_bytes: 64, answer_bytes: 64, websocket: true };
        let (mut ask, mut answer) = ([0; 70], [0; 66]);
        assert_eq!((Message::ask(shape).write(3, 0, &mut ask), ask[0], ask[1]), (70, 0x82, 0xC0));
        assert_eq!((Message::answer(shape).write(3, 0, &mut answer), answer[0], answer[1]), (66, 0x82, 0x40));
        let unmasked: Vec<u8> = ask[6..].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        assert_eq!(unmasked, answer[2..]);
    }
}
