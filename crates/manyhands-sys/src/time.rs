//! Moments of the monotonic clock, as the kernel takes them.

use std::time::Duration;

use crate::os;

/// The present moment of the monotonic clock, the same for all processes of the system.
///
/// ```
/// use manyhands_sys::time::now;
///
/// assert!(now() <= now());
/// ```
pub fn now() -> Duration {
    os::monotonic_now()
}

/// A moment of the monotonic clock until which to wait.
///
/// ```
/// use std::time::Duration;
///
/// use manyhands_sys::time::Deadline;
///
/// let tea = Deadline::after(Duration::from_secs(180));
/// assert!(Deadline::now() < tea && !tea.has_passed());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// The present moment.
    ///
    /// ```
    /// use manyhands_sys::time::Deadline;
    ///
    /// assert!(Deadline::now().has_passed());
    /// ```
    pub fn now() -> Deadline {
        Deadline(os::monotonic_now())
    }

    /// The moment `duration` from now; a duration of more than 68 years is taken as that.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sys::time::Deadline;
    ///
    /// assert!(!Deadline::after(Duration::MAX).has_passed());
    /// ```
    pub fn after(duration: Duration) -> Deadline {
        Deadline(os::monotonic_now() + duration.min(os::longest_wait()))
    }

    /// Whether that moment is over.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sys::time::Deadline;
    ///
    /// assert!(Deadline::after(Duration::ZERO).has_passed());
    /// assert!(!Deadline::after(Duration::from_secs(60)).has_passed());
    /// ```
    pub fn has_passed(self) -> bool {
        os::monotonic_now() >= self.0
    }

    /// How long ago that moment was; zero if it is yet to come.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sys::time::Deadline;
    ///
    /// let later = Deadline::after(Duration::from_secs(60));
    /// assert_eq!(later.elapsed(), Duration::ZERO);
    /// ```
    pub fn elapsed(self) -> Duration {
        os::monotonic_now().saturating_sub(self.0)
    }

    /// How long it is until that moment; zero if it is over.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use manyhands_sys::time::Deadline;
    ///
    /// let minute = Duration::from_secs(60);
    /// assert!(Deadline::after(minute).remaining() <= minute);
    /// assert_eq!(Deadline::now().remaining(), Duration::ZERO);
    /// ```
    pub fn remaining(self) -> Duration {
        self.0.saturating_sub(os::monotonic_now())
    }

    pub(crate) fn since_boot(self) -> Duration {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_in_order() {
        let now = Deadline::now();
        assert!(now.has_passed());
        let later = Deadline::after(Duration::from_secs(3600));
        assert!(later > now && !later.has_passed());
        assert_eq!(later.elapsed(), Duration::ZERO);
    }

    #[test]
    fn a_huge_duration_does_not_overflow() {
        assert!(!Deadline::after(Duration::MAX).has_passed());
    }
}
