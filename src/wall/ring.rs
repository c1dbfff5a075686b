//! The ring of a consistent hash: ketama's continuum, point for point as memcached's clients have it.
//!
//! Each endpoint has points on a circle of 2^32; a key belongs to the endpoint of the first point at or after its own
//! hash. An endpoint that goes takes its points along and leaves all others where they are, so only its own keys move.
//! Built at load, never changed. Source: libketama (R. Jones, 2007), whose own test checks this one. Out of scope: what
//! the key is and which endpoints take traffic (`balance`).

use md5::Context;

/// Points that one digest gives.
pub const POINTS_PER_DIGEST: usize = 4;

/// Points on a circle, each of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ring {
    /// By hash; of two endpoints with the same hash, the one that comes first in the file counts.
    points: Box<[Point]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Point {
    hash: u32,
    endpoint: u32,
}

/// The four points of a digest.
fn points(digest: [u8; 16]) -> impl Iterator<Item = u32> {
    let (words, _) = digest.as_chunks::<4>();
    let words: [u32; POINTS_PER_DIGEST] = std::array::from_fn(|word| u32::from_le_bytes(words[word]));
    words.into_iter()
}

/// The place of a key on the circle. Its parts count as one text.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> u32 {
    let mut context = Context::new();
    parts.iter().for_each(|part| context.consume(part));
    points(context.finalize().0).next().unwrap_or_default()
}

impl Ring {
    /// The ring of these endpoints, by name, with a number of digests for each; without any it takes no key.
    #[must_use]
    pub fn new<'n>(endpoints: impl Iterator<Item = (&'n str, usize)>) -> Self {
        let mut all = Vec::new();
        for (endpoint, (name, digests)) in (0..).zip(endpoints) {
            for number in 0..digests {
                let digest = md5::compute(format!("{name}-{number}")).0;
                all.extend(points(digest).map(|hash| Point { hash, endpoint }));
            }
        }
        all.sort_unstable();
        all.dedup_by_key(|point| point.hash);
        Self { points: all.into() }
    }

    /// The ring in which the heaviest endpoint has about `points_max` points, and each other as many as its weight is
    /// of the heaviest's. So an endpoint that is added or removed changes no other's points, unless it alone is the
    /// heaviest.
    #[must_use]
    pub fn weighted(endpoints: &[(&str, u32)], points_max: usize) -> Self {
        let most = points_max.div_ceil(POINTS_PER_DIGEST) as u64;
        let heaviest = u64::from(endpoints.iter().map(|(_, weight)| *weight).max().unwrap_or(0).max(1));
        let digests = |weight: u32| match u64::from(weight) {
            0 => 0,
            weight => usize::try_from(most * weight / heaviest).unwrap_or(usize::MAX).max(1),
        };
        Self::new(endpoints.iter().map(|(name, weight)| (*name, digests(*weight))))
    }

    /// The endpoints from a place on, clockwise, once round; each as often as it has points.
    pub fn walk(&self, hash: u32) -> impl Iterator<Item = usize> {
        let first = self.points.partition_point(|point| point.hash < hash);
        let (before, after) = self.points.split_at(first);
        after.iter().chain(before).map(|point| point.endpoint as usize)
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    /// The servers of libketama's own test, with their memory.
    const SERVERS: [(&str, u32); 8] = [
        ("10.0.1.1:11211", 600),
        ("10.0.1.2:11211", 300),
        ("10.0.1.3:11211", 200),
        ("10.0.1.4:11211", 350),
        ("10.0.1.5:11211", 1_000),
        ("10.0.1.6:11211", 800),
        ("10.0.1.7:11211", 950),
        ("10.0.1.8:11211", 100),
    ];

    /// libketama's ring: its own rule of how many digests a server's share of the memory is worth.
    fn libketama() -> Ring {
        let memory: u32 = SERVERS.iter().map(|(_, memory)| memory).sum();
        let digests = |memory_of: u32| {
            let share = memory_of as f32 / memory as f32;
            (share * 40.0 * SERVERS.len() as f32).floor() as usize
        };
        Ring::new(SERVERS.iter().map(|(name, memory)| (*name, digests(*memory))))
    }

    /// The point that a key falls to, with its server.
    fn nearest(ring: &Ring, hash: u32) -> Point {
        let at = ring.points.partition_point(|point| point.hash < hash) % ring.points.len();
        ring.points[at]
    }

    /// The checksum that libketama's test.sh wants of what its ketama_test prints for the keys 0 to 999,999, after the
    /// empty line of no error.
    #[test]
    fn a_million_keys_fall_where_libketama_says() {
        let ring = libketama();
        let mut told = String::from("\n");
        for key in 0..1_000_000 {
            let hash = hash(&[key.to_string().as_bytes()]);
            let point = nearest(&ring, hash);
            assert_eq!(ring.walk(hash).next(), Some(point.endpoint as usize));
            let _ = writeln!(told, "{hash} {} {}", point.hash, SERVERS[point.endpoint as usize].0);
        }
        assert_eq!(format!("{:x}", md5::compute(told)), "5672b131391f5aa2b280936aec1eea74");
    }

    #[test]
    fn a_key_in_parts_is_the_key_as_a_whole() {
        assert_eq!(hash(&[b"982"]), hash(&[b"9", b"", b"82"]));
        assert_ne!(hash(&[b"982"]), hash(&[b"98"]));
    }

    #[test]
    fn an_empty_ring_takes_no_key() {
        assert_eq!(Ring::weighted(&[], 640).walk(7).next(), None);
        assert_eq!(Ring::weighted(&[("a", 0)], 640).walk(7).next(), None);
    }

    fn named(names: &[String], weights: &[u32], points: usize) -> Ring {
        let endpoints: Vec<_> = names.iter().map(String::as_str).zip(weights.iter().copied()).collect();
        Ring::weighted(&endpoints, points)
    }

    /// The simple model: every point of every endpoint, in no order; the one at the least distance ahead wins.
    fn model(names: &[String], weights: &[u32], points_max: usize, key: u32) -> Option<usize> {
        let heaviest = *weights.iter().max()?;
        let mut best: Option<(u32, usize)> = None;
        for (endpoint, (name, weight)) in names.iter().zip(weights).enumerate() {
            let digests = if *weight == 0 { 0 } else { (points_max / 4 * *weight as usize / heaviest as usize).max(1) };
            for number in 0..digests {
                for point in points(md5::compute(format!("{name}-{number}")).0) {
                    let distance = point.wrapping_sub(key);
                    if best.is_none_or(|(nearest, _)| distance < nearest) {
                        best = Some((distance, endpoint));
                    }
                }
            }
        }
        best.map(|(_, endpoint)| endpoint)
    }

    fn names(count: usize, salt: u16) -> Vec<String> {
        (0..count).map(|number| format!("10.{}.{}.{number}:80", salt >> 8, salt & 255)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_ring_is_the_model(
            salt: u16,
            weights in proptest::collection::vec(0_u32..100, 1..8),
            keys in proptest::collection::vec(any::<u32>(), 20),
        ) {
            prop_assume!(weights.iter().any(|weight| *weight > 0));
            let names = names(weights.len(), salt);
            let ring = named(&names, &weights, 64);
            for key in keys {
                prop_assert_eq!(ring.walk(key).next(), model(&names, &weights, 64, key));
            }
        }

        #[test]
        fn only_the_keys_of_a_removed_endpoint_move(salt: u16, count in 2_usize..12, gone in 0_usize..12) {
            let gone = gone % count;
            let all = names(count, salt);
            let left: Vec<_> = all.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, name)| name.clone()).collect();
            let (before, after) = (named(&all, &vec![50; count], 640), named(&left, &vec![50; count - 1], 640));
            for key in 0..2_000_u32 {
                let key = hash(&[&key.to_le_bytes()]);
                let (was, is) = (before.walk(key).next().unwrap(), after.walk(key).next().unwrap());
                // A key of the one that is gone falls to the next on the way.
                let next = before.walk(key).find(|endpoint| *endpoint != gone).unwrap();
                prop_assert_eq!(&left[is], &all[next]);
                prop_assert!(was == gone || was == next);
            }
        }
    }

    /// Which part of the circle each endpoint has, exactly.
    fn parts(ring: &Ring, count: usize) -> Vec<f64> {
        let mut parts = vec![0.0; count];
        for (at, point) in ring.points.iter().enumerate() {
            let before = ring.points[(at + ring.points.len() - 1) % ring.points.len()].hash;
            parts[point.endpoint as usize] += f64::from(point.hash.wrapping_sub(before)) / 2.0_f64.powi(32);
        }
        parts
    }

    /// Only its own keys move, so what an endpoint has is what moves without it.
    #[test]
    fn removing_one_of_n_moves_at_most_a_fifth_more_than_its_share() {
        for (count, salt) in [2, 3, 5, 10, 30].into_iter().flat_map(|count| (0..20).map(move |salt| (count, salt))) {
            let ring = named(&names(count, salt), &vec![50; count], 640);
            for part in parts(&ring, count) {
                assert!(part <= 1.2 / count as f64, "{part} with {count} endpoints, salt {salt}");
            }
        }
    }

    #[test]
    fn keys_are_shared_as_the_weights_say() {
        for salt in 0..20 {
            let ring = named(&names(3, salt), &[50, 100, 25], 640);
            for (part, weight) in parts(&ring, 3).into_iter().zip([50.0, 100.0, 25.0]) {
                assert!((part * 175.0 / weight - 1.0).abs() < 0.25, "{part} for a weight of {weight}, salt {salt}");
            }
        }
    }
}
