//! What a caller keeps of values that are computed again and again.

/// Most slots of one kind, which bounds the memory.
const MOST_SLOTS: usize = 1 << 14;

/// A direct-mapped cache with one (key, value) per slot.
///
/// Results never depend on its state, because a value depends only on its key.
#[derive(Debug)]
pub(super) struct Slots<K, V> {
    /// Their number is a power of two.
    slots: Box<[Option<(K, V)>]>,
}

impl<K: Copy + PartialEq, V: Copy> Slots<K, V> {
    /// A cache with about so many slots.
    pub(super) fn new(slots: usize) -> Self {
        let slots = slots.clamp(1, MOST_SLOTS).next_power_of_two();
        Self { slots: vec![None; slots].into() }
    }

    /// The value of a key, from its slot if that holds the key.
    pub(super) fn get(&mut self, slot: usize, key: K, make: impl FnOnce() -> V) -> V {
        self.find(slot, key).unwrap_or_else(|| self.keep(slot, key, make()))
    }

    /// The value of a key, if its slot holds the key.
    pub(super) fn find(&self, slot: usize, key: K) -> Option<V> {
        let (known, value) = self.slots[slot & (self.slots.len() - 1)]?;
        (known == key).then_some(value)
    }

    /// Puts a value into its slot.
    pub(super) fn keep(&mut self, slot: usize, key: K, value: V) -> V {
        let last = self.slots.len() - 1;
        self.slots[slot & last] = Some((key, value));
        value
    }
}

/// The value of the last key that was asked for.
#[derive(Debug)]
pub(super) struct Last<K, V>(Option<(K, V)>);

impl<K, V> Default for Last<K, V> {
    fn default() -> Self {
        Self(None)
    }
}

impl<K: PartialEq, V> Last<K, V> {
    /// The value of a key, made unless it is the last one.
    pub(super) fn get(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        if self.0.as_ref().is_some_and(|(known, _)| *known != key) {
            self.0 = None;
        }
        &mut self.0.get_or_insert_with(|| (key, make())).1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_again_when_another_took_its_slot() {
        let mut slots = Slots::new(2);
        let mut made = Vec::new();
        for (slot, key) in [(0, 'a'), (0, 'a'), (1, 'b'), (0, 'a'), (2, 'c'), (0, 'a'), (1, 'b')] {
            let value = slots.get(slot, key, || {
                made.push(key);
                key.to_ascii_uppercase()
            });
            assert_eq!(value, key.to_ascii_uppercase());
        }
        assert_eq!(made, ['a', 'b', 'c', 'a']);
    }

    #[test]
    fn the_last_value_is_made_again_only_for_another_key() {
        let (mut last, mut made) = (Last::default(), Vec::new());
        for key in ['a', 'a', 'b', 'b', 'a'] {
            let value = last.get(key, || {
                made.push(key);
                key.to_ascii_uppercase()
            });
            assert_eq!(*value, key.to_ascii_uppercase());
        }
        assert_eq!(made, ['a', 'b', 'a']);
    }

    #[test]
    fn the_number_of_slots_is_bounded() {
        let slots = |wanted| Slots::<u8, u8>::new(wanted).slots.len();
        assert_eq!([0, 3, usize::MAX].map(slots), [1, 4, 1 << 14]);
    }
}
