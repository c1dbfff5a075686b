//! Bytes as lower-case hexadecimal digits. Out of scope: reading them, where each form has its own rules.

/// Writes the digits of the bytes, two for each.
pub(super) fn put(digits: &mut [u8], bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}
