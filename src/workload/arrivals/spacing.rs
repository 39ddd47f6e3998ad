//! Two pairs of one key are never in the same millisecond: key and `ts` together name a pair.

/// Which GPU a consumer takes a pair to come from: the number of its host, and its index there.
pub type Gpu = (usize, u32);

/// Finds each pair the first millisecond in which its GPU has none.
#[derive(Debug, Clone, Default)]
pub struct Spacing {
    ms: i64,
    /// The GPUs that have a pair in this millisecond.
    taken: Vec<Gpu>,
}

impl Spacing {
    /// The first millisecond, from `ms` on, in which none of the GPUs that a pair is of there has
    /// another; they are taken from here on. The answers never go back in time.
    pub fn take(&mut self, ms: i64, gpus: impl Fn(i64) -> [Gpu; 2]) -> i64 {
        self.after(ms);
        let mut of = gpus(self.ms);
        while of.iter().any(|gpu| self.taken.contains(gpu)) {
            self.after(self.ms + 1);
            of = gpus(self.ms);
        }
        let [one, other] = of;
        self.taken.push(one);
        if other != one {
            self.taken.push(other);
        }
        self.ms
    }

    /// The first millisecond, from `ms` on, that is not in the past.
    pub fn after(&mut self, ms: i64) -> i64 {
        if ms > self.ms {
            self.ms = ms;
            self.taken.clear();
        }
        self.ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_one_gpu_get_a_millisecond_each_and_those_of_others_share_it() {
        let mut spacing = Spacing::default();
        let asked = [((0, 0), 5), ((0, 1), 5), ((0, 0), 5), ((0, 0), 5), ((1, 0), 5), ((0, 0), 9)];
        let given = asked.map(|(gpu, ms)| spacing.take(ms, |_| [gpu; 2]));
        assert_eq!(given, [5, 5, 6, 7, 7, 9]);
    }

    #[test]
    fn a_pair_of_two_gpus_waits_for_both_and_may_be_another_s_a_millisecond_later() {
        let mut spacing = Spacing::default();
        assert_eq!(spacing.take(5, |_| [(0, 0), (0, 1)]), 5);
        assert_eq!(spacing.take(5, |_| [(0, 1); 2]), 6);
        assert_eq!(spacing.take(6, |ms| if ms == 6 { [(0, 1); 2] } else { [(0, 2); 2] }), 7);
        assert_eq!(spacing.take(7, |_| [(0, 1); 2]), 7);
        assert_eq!((spacing.after(6), spacing.after(8)), (7, 8));
    }
}
