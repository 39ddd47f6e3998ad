//! Answers that were just given, for what is asked again and again: the window of a GPU, the draws
//! its load lies between.

use std::cell::Cell;

/// Places for all members together, whatever their number: what is remembered has a bound.
const MOST_PLACES: usize = 1 << 14;

/// One place: the key that was asked for last, and its answer.
type Place<K, V> = Cell<Option<(K, V)>>;

/// The last answer of each of some places.
///
/// It changes when an answer is worked out and never what it is: that depends on the key alone.
#[derive(Debug)]
pub(super) struct Memo<K: Copy, V: Copy> {
    /// A power of two of them.
    places: Box<[Place<K, V>]>,
}

impl<K: Copy + PartialEq, V: Copy> Memo<K, V> {
    /// A memory with about `places` places, one of `sharers` that are made.
    pub(super) fn new(places: usize, sharers: usize) -> Self {
        let most = (MOST_PLACES / sharers.max(1)).max(1);
        let places = places.clamp(1, most).next_power_of_two();
        Self { places: (0..places).map(|_| Cell::new(None)).collect() }
    }

    /// The answer for a key, from its place if it is the last one there.
    pub(super) fn get(&self, place: u64, key: K, make: impl FnOnce() -> V) -> V {
        let last = self.places.len() - 1;
        #[expect(clippy::cast_possible_truncation, reason = "cut to the number of places")]
        let place = &self.places[place as usize & last];
        match place.get() {
            Some((known, answer)) if known == key => answer,
            _ => {
                let answer = make();
                place.set(Some((key, answer)));
                answer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_made_once_and_again_when_another_took_its_place() {
        let memo = Memo::new(2, 1);
        let mut made = Vec::new();
        for (place, key) in [(0, 'a'), (0, 'a'), (1, 'b'), (0, 'a'), (2, 'c'), (0, 'a'), (1, 'b')] {
            let answer = memo.get(place, key, || {
                made.push(key);
                key.to_ascii_uppercase()
            });
            assert_eq!(answer, key.to_ascii_uppercase());
        }
        assert_eq!(made, ['a', 'b', 'c', 'a']);
    }

    #[test]
    fn the_places_of_all_sharers_together_are_bounded() {
        let places = |wanted, sharers| Memo::<u8, u8>::new(wanted, sharers).places.len() * sharers;
        assert_eq!(places(3, 1), 4);
        assert_eq!(places(0, 1), 1);
        assert_eq!(places(usize::MAX, 1), 1 << 14);
        assert_eq!(places(1_000, 10_000), 10_000);
    }
}
