//! Comparing what somebody says with a secret, in a time that tells nothing of it.

use subtle::{Choice, ConstantTimeEq};

/// Whether both are the same. Takes as long as `said` is long, whatever the secret is, so the time tells neither how
/// much of it was right nor its length. An empty secret matches nothing.
#[must_use]
pub fn matches(secret: &[u8], said: &[u8]) -> bool {
    if secret.is_empty() {
        return false;
    }
    let same_length = (said.len() as u64).ct_eq(&(secret.len() as u64));
    let same = |same: Choice, (a, b): (&u8, &u8)| same & a.ct_eq(b);
    said.iter().zip(secret.iter().cycle()).fold(same_length, same).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_whole_secret_matches() {
        for said in [&b""[..], b"s", b"secre", b"secrets", b"secretsecret", b"Secret"] {
            assert!(!matches(b"secret", said), "{said:?}");
        }
        assert!(matches(b"secret", b"secret"));
        assert!(!matches(b"", b""));
    }
}
