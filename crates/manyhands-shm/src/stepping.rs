//! Atomics of which each change is a step at which a test may have this process die.
#![expect(dead_code, reason = "each has what either needs")]

use std::ops::Deref;
use std::sync::atomic::{self, Ordering};

use manyhands_sys::step::step;

macro_rules! stepping {
    ($name:ident, $number:ty) => {
        /// As std's of that name.
        #[derive(Debug, Default)]
        #[repr(transparent)]
        pub struct $name(atomic::$name);

        impl $name {
            pub(crate) fn store(&self, value: $number, ordering: Ordering) {
                self.0.store(value, ordering);
                step();
            }

            pub(crate) fn swap(&self, value: $number, ordering: Ordering) -> $number {
                let old = self.0.swap(value, ordering);
                step();
                old
            }

            pub(crate) fn compare_exchange(
                &self,
                old: $number,
                new: $number,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$number, $number> {
                let result = self.0.compare_exchange(old, new, success, failure);
                step();
                result
            }

            pub(crate) fn fetch_add(&self, value: $number, ordering: Ordering) -> $number {
                let old = self.0.fetch_add(value, ordering);
                step();
                old
            }

            pub(crate) fn fetch_sub(&self, value: $number, ordering: Ordering) -> $number {
                let old = self.0.fetch_sub(value, ordering);
                step();
                old
            }

            pub(crate) fn fetch_or(&self, value: $number, ordering: Ordering) -> $number {
                let old = self.0.fetch_or(value, ordering);
                step();
                old
            }

            pub(crate) fn fetch_and(&self, value: $number, ordering: Ordering) -> $number {
                let old = self.0.fetch_and(value, ordering);
                step();
                old
            }
        }

        impl Deref for $name {
            type Target = atomic::$name;

            fn deref(&self) -> &atomic::$name {
                &self.0
            }
        }
    };
}

stepping!(AtomicU32, u32);
stepping!(AtomicU64, u64);
