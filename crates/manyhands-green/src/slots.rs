//! Those who wait, in places that are used again.

/// Names one use of a slot; void once that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    index: u32,
    generation: u32,
}

impl Key {
    /// The key as a number.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The key that [`to_bits`](Key::to_bits) gave.
    #[must_use]
    pub fn from_bits(bits: u64) -> Key {
        Key { index: bits as u32, generation: (bits >> 32) as u32 }
    }
}

/// Why somebody's turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Somebody has called [`Hub::wake`](crate::Hub::wake) with it.
    Notified,
    /// The time is up.
    TimedOut,
    /// The descriptor is ready, or has an error that the next call will tell.
    Ready,
    /// The descriptor is about to be closed.
    Closed,
}

#[derive(Debug)]
pub(crate) struct Slot<T> {
    pub(crate) what: T,
    /// `None` while it waits.
    pub(crate) woken: Option<Wake>,
    /// Which of its timers counts.
    pub(crate) timer: Option<u64>,
    /// Whether the hub may not end while this waits.
    pub(crate) keeps: bool,
}

#[derive(Debug)]
enum Place<T> {
    Used(Slot<T>),
    /// With the next free place.
    Free(Option<u32>),
}

#[derive(Debug)]
pub(crate) struct Slots<T> {
    places: Vec<(u32, Place<T>)>,
    free: Option<u32>,
    used: usize,
}

impl<T> Slots<T> {
    pub(crate) const fn new() -> Self {
        Slots { places: Vec::new(), free: None, used: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.used
    }

    #[inline]
    pub(crate) fn insert(&mut self, slot: Slot<T>) -> Key {
        self.used += 1;
        if let Some(index) = self.free
            && let Some((generation, place)) = self.places.get_mut(index as usize)
        {
            if let Place::Free(next) = place {
                self.free = *next;
            }
            *place = Place::Used(slot);
            return Key { index, generation: *generation };
        }
        let index = self.places.len() as u32;
        self.places.push((0, Place::Used(slot)));
        Key { index, generation: 0 }
    }

    #[inline]
    pub(crate) fn get(&self, key: Key) -> Option<&Slot<T>> {
        match self.places.get(key.index as usize) {
            Some((generation, Place::Used(slot))) if *generation == key.generation => Some(slot),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Slot<T>> {
        match self.places.get_mut(key.index as usize) {
            Some((generation, Place::Used(slot))) if *generation == key.generation => Some(slot),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn remove(&mut self, key: Key) -> Option<Slot<T>> {
        let (generation, place) = self.places.get_mut(key.index as usize)?;
        if *generation != key.generation || matches!(place, Place::Free(_)) {
            return None;
        }
        // A key could mean another use only after 2^32 of them, all while somebody kept it.
        *generation = generation.wrapping_add(1);
        let was = std::mem::replace(place, Place::Free(self.free));
        self.free = Some(key.index);
        self.used -= 1;
        match was {
            Place::Used(slot) => Some(slot),
            Place::Free(_) => None,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Key, &Slot<T>)> {
        self.places.iter().zip(0..).filter_map(|((generation, place), index)| match place {
            Place::Used(slot) => Some((Key { index, generation: *generation }, slot)),
            Place::Free(_) => None,
        })
    }
}
