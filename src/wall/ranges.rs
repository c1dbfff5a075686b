//! A set of ranges of numbers with a lookup whose cost does not follow their number.
//!
//! The ranges stand sorted and apart in one array. Above them is a trie of byte strides: a node has an entry for each
//! value of one byte, which is another node or the place in the array where the ranges of that part begin. A part with
//! `RUN` ranges or fewer has no node, so that a short list is only scanned, and a node stands at the first byte in which
//! its ranges differ, so that there are never more nodes than ranges. A lookup follows one node for each byte of an
//! address at most, four of IPv4, and looks at `RUN` ranges, of ten as of 100,000. Out of scope: what the
//! numbers are (`access`).

/// So many ranges are scanned rather than divided further.
const RUN: usize = 8;
const FANOUT: usize = 256;

/// An entry that is a node.
const NODE: u32 = 1 << 31;

/// An unsigned number as bytes, the first the most significant.
pub trait Number: Copy + Ord {
    /// How many bytes.
    const BYTES: u32;

    /// The byte at this place, counted from the most significant.
    fn byte(self, place: u32) -> u8;

    /// How many leading bytes two numbers have in common.
    fn common_bytes(self, other: Self) -> u32;

    /// The lowest and the highest number that begin as this one, up to a byte of this value at this place.
    fn span(self, place: u32, value: u8) -> (Self, Self);
}

macro_rules! number {
    ($kind:ty) => {
        impl Number for $kind {
            const BYTES: u32 = <$kind>::BITS / 8;

            #[inline]
            fn byte(self, place: u32) -> u8 {
                self.to_be_bytes()[place as usize]
            }

            fn common_bytes(self, other: Self) -> u32 {
                (self ^ other).leading_zeros() / 8
            }

            fn span(self, place: u32, value: u8) -> (Self, Self) {
                let below = (Self::BYTES - 1 - place) * 8;
                let rest = <$kind>::MAX.checked_shr(Self::BITS - below).unwrap_or(0);
                let above = !<$kind>::MAX.checked_shr(place * 8).unwrap_or(0);
                let low = (self & above) | <$kind>::from(value) << below;
                (low, low | rest)
            }
        }
    };
}

number!(u32);
number!(u128);

/// Closed ranges, with an index above them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranges<N> {
    /// Sorted, none touching another's inside.
    ranges: Box<[(N, N)]>,
    nodes: Box<[Node]>,
}

/// The entries of one byte.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Node {
    /// Which byte.
    place: u32,
    entries: Box<[u32; FANOUT]>,
}

impl<N> Default for Ranges<N> {
    fn default() -> Self {
        Self { ranges: Box::default(), nodes: Box::default() }
    }
}

impl<N: Number> Ranges<N> {
    /// The set of these ranges, each from its first to its last number.
    #[must_use]
    pub fn new(mut ranges: Vec<(N, N)>) -> Self {
        ranges.sort_unstable();
        ranges.dedup_by(|next, kept| {
            let overlaps = next.0 <= kept.1;
            if overlaps {
                kept.1 = kept.1.max(next.1);
            }
            overlaps
        });
        let mut nodes = Vec::new();
        if let [first, .., last] = &*ranges
            && ranges.len() > RUN
        {
            divide(&ranges, 0, (first.0, last.1), &mut nodes);
        }
        Self { ranges: ranges.into(), nodes: nodes.into() }
    }

    /// Whether a range has the number.
    #[inline]
    #[must_use]
    pub fn contains(&self, number: N) -> bool {
        self.scan(self.start(number), number)
    }

    /// Whether there is no range.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many ranges there are, those that overlap counted as one.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// From which range on the number may be found. Nodes skip what their ranges have in common: a number that differs
    /// there is led somewhere and found in no range.
    fn start(&self, number: N) -> usize {
        let Some(mut node) = self.nodes.first() else { return 0 };
        loop {
            let entry = node.entries[usize::from(number.byte(node.place))];
            if entry & NODE == 0 {
                return entry as usize;
            }
            node = &self.nodes[(entry & !NODE) as usize];
        }
    }

    /// Compares with a whole run, without a branch for each: which of them decides is not to be foreseen.
    #[inline]
    fn scan(&self, start: usize, number: N) -> bool {
        let inside = |range: &(N, N)| (range.0 <= number) & (number <= range.1);
        let rest = self.ranges.get(start..).unwrap_or_default();
        match rest.first_chunk::<RUN>() {
            Some(run) => run.iter().fold(false, |found, range| found | inside(range)),
            None => rest.iter().any(inside),
        }
    }
}

/// Makes a node of the ranges of one part and of all below it, more than `RUN`; `first` is the place of the first.
fn divide<N: Number>(ranges: &[(N, N)], first: usize, part: (N, N), nodes: &mut Vec<Node>) -> u32 {
    let (low, high) = match ranges {
        [one, .., last] => (one.0.max(part.0), last.1.min(part.1)),
        _ => part,
    };
    let place = low.common_bytes(high).min(N::BYTES - 1);
    let number = nodes.len();
    nodes.push(Node { place, entries: Box::new([0; FANOUT]) });
    for value in 0..=u8::MAX {
        let (from, to) = low.span(place, value);
        let begin = ranges.partition_point(|range| range.1 < from);
        let end = ranges.partition_point(|range| range.0 <= to);
        let inside = ranges.get(begin..end).unwrap_or_default();
        let entry = if inside.len() > RUN {
            NODE | divide(inside, first + begin, (from, to), nodes)
        } else {
            u32::try_from(first + begin).unwrap_or(NODE - 1)
        };
        nodes[number].entries[usize::from(value)] = entry;
    }
    u32::try_from(number).unwrap_or(NODE - 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many nodes a lookup follows.
    fn depth<N: Number>(set: &Ranges<N>, number: N) -> usize {
        let mut depth = 0;
        let mut node = set.nodes.first();
        while let Some(here) = node {
            depth += 1;
            let entry = here.entries[usize::from(number.byte(here.place))];
            node = (entry & NODE != 0).then(|| &set.nodes[(entry & !NODE) as usize]);
        }
        depth
    }

    /// Numbers without order that are the same in each run.
    fn scattered(count: u32) -> impl Iterator<Item = u32> {
        (0..count).map(|n| n.wrapping_mul(2_654_435_761).rotate_left(7) ^ 0x5bd1_e995)
    }

    #[test]
    fn a_lookup_among_100_000_follows_no_more_nodes_than_an_address_has_bytes() {
        let set = Ranges::new(scattered(100_000).map(|n| (n, n)).collect());
        assert_eq!(set.len(), 100_000);
        let probes = scattered(100_000).flat_map(|n| [n, n.wrapping_add(1), !n]);
        let deepest = probes.map(|n| depth(&set, n)).max();
        assert!(deepest <= Some(4), "{deepest:?}");
        assert!(scattered(100_000).all(|n| set.contains(n)));
    }

    #[test]
    fn addresses_that_begin_alike_take_no_node_for_what_they_share() {
        let shared = 0x2001_0db8_0000_0000_0000_0000_0000_0000_u128;
        let set = Ranges::new((0..100_000).map(|n| (shared | (n * 3), shared | (n * 3))).collect());
        let deepest = (0..100_000).map(|n| depth(&set, shared | n)).max();
        assert!(deepest <= Some(3), "{deepest:?}");
        assert!(set.nodes.len() < 100_000 / RUN, "{}", set.nodes.len());
        assert!(set.contains(shared | 3) && !set.contains(shared | 4) && !set.contains(3));
    }

    #[test]
    fn there_are_fewer_nodes_than_ranges_however_they_lie() {
        // Groups of nine that differ in the last byte only, far from each other.
        let groups = scattered(2_000).map(u128::from);
        let ranges = groups.flat_map(|group| (0..9).map(move |n| ((group << 90) | (n * 2), (group << 90) | (n * 2))));
        let set = Ranges::new(ranges.collect());
        assert!(set.nodes.len() <= set.len(), "{} nodes of {}", set.nodes.len(), set.len());
    }

    #[test]
    fn a_range_over_everything_is_one() {
        let set = Ranges::new(scattered(1_000).map(|n| (n, n)).chain([(0, u32::MAX)]).collect());
        assert_eq!(set.len(), 1);
        assert!(set.contains(0) && set.contains(u32::MAX));
    }

    fn model<N: Number>(ranges: &[(N, N)], number: N) -> bool {
        ranges.iter().any(|range| (range.0..=range.1).contains(&number))
    }

    proptest! {
        /// Many ranges of all lengths, some in one corner, against a scan.
        #[test]
        fn of_32_bits_it_answers_as_the_scan(
            ranges in prop::collection::vec(
                prop_oneof![(any::<u32>(), 0..32_u32), (0..4_096_u32, 0..10_u32), (any::<u32>(), Just(0))], 0..300),
            probes in prop::collection::vec(prop_oneof![any::<u32>(), 0..8_192_u32], 1..100),
        ) {
            let ranges: Vec<_> = ranges.into_iter()
                .map(|(n, bits)| (n & (u32::MAX << bits), n | !(u32::MAX << bits))).collect();
            let set = Ranges::new(ranges.clone());
            let edges = ranges.iter().flat_map(|&(low, high)| {
                [low, high, low.wrapping_sub(1), high.wrapping_add(1)]
            });
            for number in probes.into_iter().chain(edges) {
                prop_assert_eq!(set.contains(number), model(&ranges, number), "{}", number);
            }
        }

        #[test]
        fn of_128_bits_it_answers_as_the_scan(
            ranges in prop::collection::vec(
                prop_oneof![(any::<u128>(), 0..128_u32), (0..4_096_u128, 0..10_u32), (any::<u8>().prop_map(|n| u128::from(n) << 64), Just(0))], 0..200),
            probes in prop::collection::vec(prop_oneof![any::<u128>(), 0..8_192_u128], 1..50),
        ) {
            let ranges: Vec<_> = ranges.into_iter()
                .map(|(n, bits)| (n & (u128::MAX << bits), n | !(u128::MAX << bits))).collect();
            let set = Ranges::new(ranges.clone());
            let edges = ranges.iter().flat_map(|&(low, high)| {
                [low, high, low.wrapping_sub(1), high.wrapping_add(1)]
            });
            for number in probes.into_iter().chain(edges) {
                prop_assert_eq!(set.contains(number), model(&ranges, number), "{}", number);
            }
        }
    }
}
