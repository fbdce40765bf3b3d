//! Items as plain objects.

use super::node::Kind;
use super::opcode as op;
use super::{Integer, Item, Plain};

/// Deeper ones are not plain: who handles them may call itself for each level.
const DEPTH: u32 = 100;

/// What a decoded object may still cost. Shared parts are copied, so that it could be far larger than the message.
struct Budget(usize);

impl Budget {
    /// Enough for everything in the message a few times.
    fn of(item: Item<'_>) -> Budget {
        Budget(item.message.bytes.len().saturating_mul(4).saturating_add(4096))
    }

    fn spend(&mut self, cost: usize) -> Option<()> {
        self.0 = self.0.checked_sub(cost)?;
        Some(())
    }
}

pub(super) fn plain(item: Item<'_>) -> Option<Plain> {
    decode(item, DEPTH, &mut Budget::of(item))
}

pub(super) fn is_plain(item: Item<'_>) -> bool {
    check(item, DEPTH, &mut Budget::of(item)).is_some()
}

fn decode(item: Item<'_>, depth: u32, budget: &mut Budget) -> Option<Plain> {
    let node = item.resolved();
    let depth = depth.checked_sub(1)?;
    budget.spend(1)?;
    let members = |budget: &mut Budget| -> Option<Vec<Plain>> {
        item.members_of(node).map(|member| decode(member, depth, budget)).collect()
    };
    Some(match node.kind {
        Kind::None => Plain::None,
        Kind::True => Plain::Bool(true),
        Kind::False => Plain::Bool(false),
        Kind::Int => {
            let bytes = item.int_bytes()?;
            budget.spend(bytes.0.len())?;
            Plain::Int(Integer::from_le_bytes(bytes))
        }
        Kind::Float => Plain::Float(item.float()?),
        Kind::Str => {
            let text = item.str()?;
            budget.spend(text.len())?;
            Plain::Str(text.into())
        }
        Kind::Bytes => {
            let bytes = item.bytes()?;
            budget.spend(bytes.len())?;
            Plain::Bytes(bytes.into())
        }
        Kind::Bytearray => {
            let bytes = item.bytearray()?;
            budget.spend(bytes.len())?;
            Plain::Bytearray(bytes.into())
        }
        Kind::Tuple => Plain::Tuple(members(budget)?),
        Kind::List => Plain::List(members(budget)?),
        Kind::Set => Plain::Set(members(budget)?),
        Kind::Frozenset => Plain::Frozenset(members(budget)?),
        Kind::Dict => {
            let mut pairs = Vec::new();
            let mut members = item.members_of(node);
            while let (Some(key), Some(value)) = (members.next(), members.next()) {
                pairs.push((decode(key, depth, budget)?, decode(value, depth, budget)?));
            }
            Plain::Dict(pairs)
        }
        _ => return None,
    })
}

/// What one opcode makes, with or without a place in the memo: the most frequent kinds of small things, without scanning. None for
/// all else, which may be plain nevertheless.
pub(super) fn atom(bytes: &[u8]) -> Option<Plain> {
    let (header, data) = op::extent(bytes)?;
    if !matches!(bytes.get(header + data..)?, [] | [op::MEMOIZE]) {
        return None;
    }
    let argument = bytes.get(1..header)?;
    Some(match *bytes.first()? {
        op::NONE => Plain::None,
        op::NEWTRUE => Plain::Bool(true),
        op::NEWFALSE => Plain::Bool(false),
        op::BININT1 | op::BININT2 => Plain::int(i64::try_from(op::number(argument)).ok()?),
        op::BININT => Plain::int(i64::from(i32::from_le_bytes(argument.try_into().ok()?))),
        op::BINFLOAT => Plain::Float(f64::from_be_bytes(argument.try_into().ok()?)),
        op::SHORT_BINUNICODE => {
            Plain::str(std::str::from_utf8(bytes.get(header..header + data)?).ok()?)
        }
        _ => return None,
    })
}

/// The same without making anything.
fn check(item: Item<'_>, depth: u32, budget: &mut Budget) -> Option<()> {
    let node = item.resolved();
    let depth = depth.checked_sub(1)?;
    budget.spend(1)?;
    match node.kind {
        Kind::None | Kind::True | Kind::False | Kind::Float => Some(()),
        Kind::Int => budget.spend(item.int_bytes()?.0.len()),
        Kind::Str => budget.spend(item.str()?.len()),
        Kind::Bytes => budget.spend(item.bytes()?.len()),
        Kind::Bytearray => budget.spend(item.bytearray()?.len()),
        Kind::Tuple | Kind::List | Kind::Set | Kind::Frozenset | Kind::Dict => {
            item.members_of(node).try_for_each(|member| check(member, depth, budget))
        }
        _ => None,
    }
}
