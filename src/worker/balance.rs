//! Smooth weighted round-robin, one replica per core.
//!
//! Each pick adds its weight to every candidate's credit, takes the largest credit and subtracts the
//! total, so picks spread evenly instead of coming in runs (the scheme nginx introduced, and GateKeeper's
//! own: weights 1, 2, 1 give 2, 1, 3, 2). Replicas start at different places of the cycle, so cores
//! do not hit the same endpoint in step. Out of scope: which endpoints are candidates.

/// One core's rotation over the endpoints of one service.
#[derive(Debug)]
pub struct Rotation {
    seats: Vec<Seat>,
}

#[derive(Debug)]
struct Seat {
    weight: i64,
    credit: i64,
}

impl Rotation {
    /// A rotation over endpoints by weight; 0 takes no part, unless all are 0: then the first is
    /// always picked. `offset` picks are skipped first.
    #[must_use]
    pub fn new(weights: &[u32], offset: usize) -> Self {
        let mut seats: Vec<_> = weights.iter().map(|weight| Seat { weight: i64::from(*weight), credit: 0 }).collect();
        if seats.iter().all(|seat| seat.weight == 0)
            && let Some(first) = seats.first_mut()
        {
            first.weight = 1;
        }
        let mut rotation = Self { seats };
        let cycle = usize::try_from(rotation.seats.iter().map(|seat| seat.weight).sum::<i64>()).unwrap_or(1).max(1);
        for _ in 0..offset % cycle.min(1_024) {
            rotation.pick(|_| true);
        }
        rotation
    }

    /// The next endpoint among those that `candidate` admits.
    pub fn pick(&mut self, candidate: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for index in 0..self.seats.len() {
            if self.seats[index].weight == 0 || !candidate(index) {
                continue;
            }
            let seat = &mut self.seats[index];
            seat.credit += seat.weight;
            total += seat.weight;
            if best.is_none_or(|best| self.seats[index].credit > self.seats[best].credit) {
                best = Some(index);
            }
        }
        if let Some(best) = best {
            self.seats[best].credit -= total;
        }
        best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(weights: &[u32], offset: usize, n: usize) -> Vec<usize> {
        let mut rotation = Rotation::new(weights, offset);
        (0..n).filter_map(|_| rotation.pick(|_| true)).collect()
    }

    #[test]
    fn weights_1_2_1_follow_gatekeepers_order() {
        assert_eq!(picks(&[1, 2, 1], 0, 8), [1, 0, 2, 1, 1, 0, 2, 1]);
    }

    #[test]
    fn a_cycle_holds_each_endpoint_as_often_as_its_weight() {
        let cycle = picks(&[50, 50, 80], 0, 180);
        for (endpoint, weight) in [50, 50, 80].into_iter().enumerate() {
            assert_eq!(cycle.iter().filter(|pick| **pick == endpoint).count(), weight);
        }
    }

    #[test]
    fn weight_0_is_never_picked_but_when_all_are_0_the_first_is() {
        assert_eq!(picks(&[0, 3, 0], 0, 3), [1, 1, 1]);
        assert_eq!(picks(&[0, 0], 0, 3), [0, 0, 0]);
    }

    #[test]
    fn replicas_with_other_offsets_start_elsewhere_in_the_cycle() {
        assert_eq!(picks(&[1, 1, 1], 1, 3), [1, 2, 0]);
    }

    #[test]
    fn only_candidates_are_picked() {
        let mut rotation = Rotation::new(&[1, 1, 1], 0);
        assert!((0..9).all(|_| rotation.pick(|index| index == 2) == Some(2)));
        assert_eq!(rotation.pick(|_| false), None);
    }
}
