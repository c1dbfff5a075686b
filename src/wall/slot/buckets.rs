//! The two ways in which durations are counted: finely for each core, coarsely for each of thousands of services.
//!
//! Both are in whole microseconds. A bucket is a half-open range; what is counted in it is taken for its middle, and
//! how far that may be off is promised here. Out of scope: where the counts are (`layout`).

/// Buckets of the fine histogram: 64 to an octave, up to 2^36 µs, which is 19 hours; more counts as that.
/// Relative error: 0.8 % at most.
pub const FINE_BUCKETS: usize = 1_984;
/// Buckets of the coarse histogram: three to an octave from `COARSE_FROM_US` on, and one below and one above.
pub const COARSE_BUCKETS: usize = 40;
/// Where the coarse histogram begins to tell: from here to 3.3 seconds it is off by 12 % at most. What is shorter or
/// longer is told as the mean of all that is, because each of the two outer buckets has a sum.
pub const COARSE_FROM_US: u64 = 512;

const FINE_BITS: u32 = 6;
const FINE_MAX_US: u64 = (1 << 36) - 1;
/// 2^63 times the cube root of 2, and of 4, rounded up.
const THIRDS: [u64; 2] = [0xA145_17CC_6B94_5712, 0xCB2F_F529_EB71_E416];

/// The fine bucket of a duration.
#[inline]
#[must_use]
pub const fn fine(us: u64) -> usize {
    let us = if us > FINE_MAX_US { FINE_MAX_US } else { us };
    let octave = 63 - (us | 1).leading_zeros();
    let shift = octave.saturating_sub(FINE_BITS);
    ((shift as usize) << FINE_BITS) + (us >> shift) as usize
}

/// Where the fine bucket of that number begins.
const fn fine_from_us(bucket: usize) -> u64 {
    let whole = 1 << FINE_BITS;
    if bucket < 2 * whole {
        return bucket as u64;
    }
    let shift = (bucket >> FINE_BITS) - 1;
    ((whole + (bucket & (whole - 1))) as u64) << shift
}

/// The coarse bucket of a duration.
#[inline]
#[must_use]
pub const fn coarse(us: u64) -> usize {
    if us < COARSE_FROM_US {
        return 0;
    }
    let zeros = us.leading_zeros();
    let (octave, mantissa) = (63 - zeros - COARSE_FROM_US.trailing_zeros(), us << zeros);
    let third = (mantissa >= THIRDS[0]) as usize + (mantissa >= THIRDS[1]) as usize;
    let bucket = 1 + 3 * octave as usize + third;
    if bucket < COARSE_BUCKETS { bucket } else { COARSE_BUCKETS - 1 }
}

/// Where each fine bucket but the last ends, and the next begins.
#[must_use]
pub fn fine_bounds() -> Vec<u64> {
    (1..FINE_BUCKETS).map(fine_from_us).collect()
}

/// Where each coarse bucket but the last ends, and the next begins.
#[must_use]
pub fn coarse_bounds() -> Vec<u64> {
    let bound = |index: usize| {
        let (octave, third) = (index / 3, index % 3);
        let whole = COARSE_FROM_US << octave;
        // The first whole microsecond whose mantissa reaches the third.
        match third {
            0 => whole,
            third => THIRDS[third - 1].div_ceil(1 << whole.leading_zeros()),
        }
    };
    (0..COARSE_BUCKETS - 1).map(bound).collect()
}

/// What a bucket's durations are taken for: the value that is off by the same part of either end.
#[must_use]
pub fn middle_us(from_us: u64, to_us: u64) -> u64 {
    // Durations are whole, so the last one of the bucket is one less than its end.
    let (from, last) = (u128::from(from_us), u128::from(to_us.saturating_sub(1).max(from_us)));
    let middle = (2 * from * last).checked_div(from + last).unwrap_or(0);
    u64::try_from(middle).unwrap_or(u64::MAX).max(from_us)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn off_by(us: u64, bucket: usize, bounds: &[u64]) -> f64 {
        let from_us = if bucket == 0 { 0 } else { bounds[bucket - 1] };
        assert!(us >= from_us && us < bounds[bucket], "{us} is not in bucket {bucket}");
        let told_us = middle_us(from_us, bounds[bucket]);
        told_us.abs_diff(us) as f64 / us.max(1) as f64
    }

    #[test]
    fn both_histograms_are_in_order_without_gaps() {
        for bounds in [fine_bounds(), coarse_bounds()] {
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert_eq!((fine(0), fine(FINE_MAX_US), fine(u64::MAX)), (0, FINE_BUCKETS - 1, FINE_BUCKETS - 1));
        assert_eq!((coarse(0), coarse(511), coarse(512), coarse(u64::MAX)), (0, 0, 1, COARSE_BUCKETS - 1));
        let last_us = *coarse_bounds().last().expect("bounds");
        assert_eq!((coarse(last_us - 1), coarse(last_us)), (COARSE_BUCKETS - 2, COARSE_BUCKETS - 1));
        assert!(last_us > 3_300_000, "{last_us}");
    }

    proptest! {
        #[test]
        fn a_fine_bucket_is_off_by_one_percent_at_most(octave in 0_u32..36, fraction in 0.0..1.0) {
            let us = ((1_u64 << octave) as f64 * (1.0 + fraction)) as u64;
            let bounds = fine_bounds();
            prop_assume!(fine(us) < bounds.len());
            prop_assert!(off_by(us, fine(us), &bounds) <= 0.01, "{us}");
        }

        #[test]
        fn a_coarse_bucket_is_off_by_twelve_percent_at_most(us in COARSE_FROM_US..3_300_000) {
            prop_assert!(off_by(us, coarse(us), &coarse_bounds()) <= 0.12, "{us}");
        }

        #[test]
        fn a_longer_duration_is_never_in_an_earlier_bucket(one in any::<u64>(), other in any::<u64>()) {
            let (short, long) = (one.min(other) >> 20, one.max(other) >> 20);
            prop_assert!(fine(short) <= fine(long) && coarse(short) <= coarse(long));
        }
    }
}
