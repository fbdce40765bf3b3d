//! Python's ints.

use std::cmp::Ordering;

/// A Python int of any size.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Integer {
    /// One that fits.
    Small(i64),
    /// One that does not: two's complement, little endian, shortest form.
    Big(Box<[u8]>),
}

/// The first float that is too large for an i64.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

impl Integer {
    /// Of two's complement, or of a natural number, little endian.
    pub(super) fn from_le_bytes((bytes, signed): (&[u8], bool)) -> Integer {
        let is_negative = |bytes: &[u8]| signed && bytes.last().is_some_and(|&last| last >= 0x80);
        let negative = is_negative(bytes);
        let fill = if negative { 0xff } else { 0 };
        let mut shortest = bytes;
        while let Some((&last, rest)) = shortest.split_last()
            && last == fill
            && is_negative(rest) == negative
        {
            shortest = rest;
        }
        let mut small = [fill; 8];
        match small.get_mut(..shortest.len()) {
            Some(low) => {
                low.copy_from_slice(shortest);
                Integer::Small(i64::from_le_bytes(small))
            }
            None => Integer::Big(shortest.into()),
        }
    }

    /// Of a finite float without a fraction.
    pub(super) fn from_whole(value: f64) -> Integer {
        if (-BEYOND..BEYOND).contains(&value) {
            return Integer::Small(value as i64);
        }
        let bits = value.to_bits();
        let mantissa = bits & ((1 << 52) - 1) | 1 << 52;
        // So large a value is a multiple of its mantissa.
        let exponent = ((bits >> 52 & 0x7ff) as usize).saturating_sub(1075);
        let mut bytes = vec![0; exponent / 8];
        bytes.extend_from_slice(&(mantissa << (exponent % 8)).to_le_bytes());
        bytes.push(0);
        if value < 0.0 {
            let mut carry = true;
            for byte in &mut bytes {
                (*byte, carry) = (!*byte).overflowing_add(u8::from(carry));
            }
        }
        Integer::from_le_bytes((&bytes, true))
    }

    /// Whether it is less than 0.
    pub fn is_negative(&self) -> bool {
        match self {
            Integer::Small(value) => *value < 0,
            Integer::Big(bytes) => bytes.last().is_some_and(|&last| last >= 0x80),
        }
    }

    fn sign(&self) -> Ordering {
        if self.is_negative() { Ordering::Less } else { Ordering::Greater }
    }

    /// How it compares to a float, exactly: None to nan.
    pub fn compare_float(&self, value: f64) -> Option<Ordering> {
        if value.is_nan() {
            return None;
        }
        if value.is_infinite() {
            return Some(if value > 0.0 { Ordering::Less } else { Ordering::Greater });
        }
        let whole = value.trunc();
        let fraction = whole.partial_cmp(&value)?;
        Some(self.cmp(&Integer::from_whole(whole)).then(fraction))
    }
}

impl From<i64> for Integer {
    fn from(value: i64) -> Integer {
        Integer::Small(value)
    }
}

impl Ord for Integer {
    fn cmp(&self, other: &Integer) -> Ordering {
        match (self, other) {
            (Integer::Small(one), Integer::Small(two)) => one.cmp(two),
            (Integer::Small(_), Integer::Big(_)) => other.sign().reverse(),
            (Integer::Big(_), Integer::Small(_)) => self.sign(),
            (Integer::Big(one), Integer::Big(two)) => {
                let sign = self.sign();
                if sign != other.sign() {
                    return sign;
                }
                let longer = one.len().cmp(&two.len());
                let longer = if self.is_negative() { longer.reverse() } else { longer };
                longer.then_with(|| one.iter().rev().cmp(two.iter().rev()))
            }
        }
    }
}

impl PartialOrd for Integer {
    fn partial_cmp(&self, other: &Integer) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
