//! Smooth weighted round-robin.
//!
//! Each pick adds its weight to every candidate's credit, takes the largest credit and subtracts the
//! total, so picks spread evenly instead of coming in runs (the scheme nginx introduced, and GateKeeper's
//! own: weights 1, 2, 1 give 2, 1, 3, 2). Weights may differ from pick to pick. Out of scope: which endpoints are
//! candidates.

/// One core's rotation over the endpoints of one service.
#[derive(Debug)]
pub struct Rotation {
    credits: Box<[i64]>,
}

impl Rotation {
    /// A rotation over so many endpoints.
    #[must_use]
    pub fn new(endpoints: usize) -> Self {
        Self { credits: vec![0; endpoints].into() }
    }

    /// The next endpoint; one of weight 0 is no candidate.
    pub fn pick(&mut self, weight: impl Fn(usize) -> u64) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for index in 0..self.credits.len() {
            // Sums of weights stay far below 2^63: see `limits::ENDPOINTS_MAX`.
            let weight = weight(index) as i64;
            if weight == 0 {
                continue;
            }
            self.credits[index] += weight;
            total += weight;
            if best.is_none_or(|best| self.credits[index] > self.credits[best]) {
                best = Some(index);
            }
        }
        if let Some(best) = best {
            self.credits[best] -= total;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[u64], n: usize) -> Vec<usize> {
        let mut rotation = Rotation::new(weights.len());
        (0..n).filter_map(|_| rotation.pick(|index| weights[index])).collect()
    }

    #[test]
    fn weights_1_2_1_follow_gatekeepers_order() {
        assert_eq!(picks(&[1, 2, 1], 8), [1, 0, 2, 1, 1, 0, 2, 1]);
    }

    #[test]
    fn a_cycle_holds_each_endpoint_as_often_as_its_weight() {
        let cycle = picks(&[50, 50, 80], 180);
        for (endpoint, weight) in [50, 50, 80].into_iter().enumerate() {
            assert_eq!(cycle.iter().filter(|pick| **pick == endpoint).count(), weight);
        }
    }

    #[test]
    fn weights_that_all_grow_alike_change_no_order() {
        assert_eq!(picks(&[1, 2, 1], 12), picks(&[1_024, 2_048, 1_024], 12));
    }

    #[test]
    fn only_candidates_are_picked() {
        let mut rotation = Rotation::new(3);
        assert!((0..9).all(|_| rotation.pick(|index| u64::from(index == 2)) == Some(2)));
        assert_eq!(rotation.pick(|_| 0), None);
    }
}
