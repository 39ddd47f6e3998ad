//! Remembers values that are computed again and again: the window of a GPU, and the draws that its
//! load lies between.

use std::cell::Cell;

/// Number of slots of all members together, which bounds the memory.
const MOST_PLACES: usize = 1 << 14;

/// One slot: the last key and its value.
type Place<K, V> = Cell<Option<(K, V)>>;

/// A direct-mapped cache with one (key, value) per slot.
///
/// Results never depend on its state, because a value depends only on its key.
#[derive(Debug)]
pub(super) struct Memo<K: Copy, V: Copy> {
    /// Their number is a power of two.
    places: Box<[Place<K, V>]>,
}

impl<K: Copy + PartialEq, V: Copy> Memo<K, V> {
    /// A cache with about `places` slots, one of `sharers` caches.
    pub(super) fn new(places: usize, sharers: usize) -> Self {
        let most = (MOST_PLACES / sharers.max(1)).max(1);
        let places = places.clamp(1, most).next_power_of_two();
        Self { places: (0..places).map(|_| Cell::new(None)).collect() }
    }

    /// The value of a key, from its slot if that holds the key.
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
