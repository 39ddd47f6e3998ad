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
    /// The first millisecond, from `ms` on, in which the GPU has no pair; it is taken from here on.
    /// The answers never go back in time.
    pub fn take(&mut self, gpu: Gpu, ms: i64) -> i64 {
        if ms > self.ms {
            self.ms = ms;
            self.taken.clear();
        } else if self.taken.contains(&gpu) {
            self.ms += 1;
            self.taken.clear();
        }
        self.taken.push(gpu);
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
        let given = asked.map(|(gpu, ms)| spacing.take(gpu, ms));
        assert_eq!(given, [5, 5, 6, 7, 7, 9]);
    }
}
