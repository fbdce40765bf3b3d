//! Takes messages apart and puts them together again, whatever they are. Also what the fuzz target does.

use bytes::Bytes;
use manyhands_manager::pickle::{Item, Malformed, Message, Payload, Writer};

/// Objects that are looked at in one message, as some contain themselves.
const MANY: usize = 200;

/// All that can be asked of an object, except for its members.
fn describe(item: Item<'_>) -> String {
    let float = item.float().map(f64::to_bits);
    format!(
        "{:?} {:?} {:?} {float:?} {:?} {:?} {:?} {:?} {}",
        item.is_none(),
        item.bool(),
        item.int(),
        item.str(),
        item.bytes(),
        item.bytearray(),
        item.global(),
        item.slice().is_some(),
    )
}

/// What an object is made of, and how.
fn members(item: Item<'_>) -> Option<(&'static str, Vec<Item<'_>>)> {
    if let Some(members) = item.tuple() {
        Some(("tuple", members))
    } else if let Some(members) = item.list() {
        Some(("list", members))
    } else if let Some(members) = item.set() {
        Some(("set", members))
    } else if let Some(pairs) = item.dict() {
        Some(("dict", pairs.into_iter().flat_map(|(key, value)| [key, value]).collect()))
    } else {
        let (callable, arguments, state) = item.reduced()?;
        Some(("reduced", [callable, arguments].into_iter().chain(state).collect()))
    }
}

/// All objects of a message, or the first of them.
fn objects(root: Item<'_>) -> Vec<Item<'_>> {
    let mut objects = vec![root];
    let mut next = 0;
    while let Some(&object) = objects.get(next)
        && objects.len() < MANY
    {
        objects.extend(members(object).into_iter().flat_map(|(_, members)| members));
        next += 1;
    }
    objects.truncate(MANY);
    objects
}

/// The same, as far as one looks and as far as the first is not opaque.
fn assert_same(one: Item<'_>, two: Item<'_>) {
    let mut pairs = vec![(one, two)];
    let mut next = 0;
    while let Some(&(one, two)) = pairs.get(next)
        && pairs.len() < MANY
    {
        next += 1;
        match (members(one), members(two)) {
            (Some((kind, ones)), Some((other, twos))) => {
                assert_eq!((kind, ones.len()), (other, twos.len()));
                pairs.extend(ones.into_iter().zip(twos));
            }
            (Some((kind, _)), None) => panic!("a {kind} became {two:?}"),
            (None, _) if is_opaque(one) => {}
            (None, _) => assert_eq!(describe(one), describe(two)),
        }
    }
    if let (Some(one), Some(two)) = (one.plain(), two.plain()) {
        assert_eq!(format!("{one:?}"), format!("{two:?}"));
    }
}

fn is_opaque(item: Item<'_>) -> bool {
    !item.is_plain() && item.global().is_none()
}

/// Scans it, cuts every object out, looks at that again, and joins them all.
pub fn exercise(bytes: &[u8]) -> Result<(), Malformed> {
    let message = Message::scan(Bytes::copy_from_slice(bytes))?;
    let objects = objects(message.root());
    let payloads: Vec<Payload> = objects.iter().map(|object| object.payload()).collect();
    for (object, payload) in objects.iter().zip(&payloads) {
        let pickle = payload.to_pickle();
        assert_eq!(pickle.len(), payload.len() + 3);
        let again = Message::scan(pickle.clone()).expect("a payload is a pickle");
        assert_same(*object, again.root());
        // What stands by itself already stays as it is.
        assert_eq!(again.root().payload().to_pickle(), pickle);
        assert_eq!(object.is_plain(), object.plain().is_some());
        if let Some(plain) = object.plain() {
            let encoded = Payload::of(&plain).plain().expect("what was plain stays plain");
            assert_eq!(format!("{plain:?}"), format!("{encoded:?}"));
        }
    }
    let mut writer = Writer::new();
    writer.list(|writer| payloads.iter().for_each(|payload| writer.payload(payload)));
    let joined =
        Message::scan(writer.finish().concat().into()).expect("what was written is a pickle");
    let members = joined.root().list().expect("a list was written");
    assert_eq!(members.len(), objects.len());
    for (object, member) in objects.into_iter().zip(members) {
        assert_same(object, member);
    }
    Ok(())
}

/// A pickle that obeys the rules (mostly), of as many opcodes as there are bytes.
pub fn pickle_of(choices: &[u8]) -> Vec<u8> {
    // How many objects there are on top of each mark.
    let mut stack = vec![0_usize];
    let mut memos = 0_u8;
    let mut pickle = b"\x80\x04".to_vec();
    for &choice in choices {
        let top = stack.last_mut().expect("there is a bottom");
        let (takes, opcode): (usize, &[u8]) = match choice % 40 {
            0 => (0, b"N"),
            1 => (0, b"K\x07"),
            2 => (0, b"\x8c\x01a"),
            3 => (0, b"\x8c\x03put"),
            4 => (0, b"C\x01b"),
            5 => (0, b")"),
            6 | 7 => (0, b"]"),
            8 => (0, b"}"),
            9 => (0, b"\x8f"),
            10 => (0, b"cm\nn\n"),
            11 => (1, b"\x85"),
            12 => (2, b"\x86"),
            13 => (3, b"\x87"),
            14 => (2, b"R"),
            15 => (2, b"\x81"),
            16 => (2, b"\x93"),
            17 | 18 => (2, b"a"),
            19 => (2, b"b"),
            20 => (3, b"s"),
            21 => (0, b"G\x3f\xf0\0\0\0\0\0\0"),
            22 => (0, b"\x96\x01\0\0\0\0\0\0\0c"),
            23..=29 if *top > 0 && memos < 100 => {
                pickle.push(b'\x94');
                memos += 1;
                continue;
            }
            30..=33 if memos > 0 => {
                pickle.extend_from_slice(&[b'h', choice.wrapping_mul(7) % memos]);
                *top += 1;
                continue;
            }
            34 => {
                pickle.push(b'(');
                stack.push(0);
                continue;
            }
            35 if *top > 0 => {
                pickle.push(b'0');
                *top -= 1;
                continue;
            }
            36 => {
                pickle.extend_from_slice(b"\x95\x01\0\0\0\0\0\0\0");
                continue;
            }
            end @ 37..=39 if stack.len() > 1 => {
                let count = stack.pop().unwrap_or_default();
                let below = stack.last_mut().expect("there is a bottom");
                if *below > 0 && end == 38 {
                    pickle.push(if count % 2 == 0 { b'u' } else { b'e' });
                } else {
                    pickle.push(if end == 39 { b'\x91' } else { b't' });
                    *below += 1;
                }
                continue;
            }
            _ => continue,
        };
        if *top >= takes {
            pickle.extend_from_slice(opcode);
            *top = *top - takes + 1;
        }
    }
    while stack.len() > 1 {
        pickle.push(b't');
        stack.pop();
        *stack.last_mut().expect("there is a bottom") += 1;
    }
    match stack.first() {
        Some(0) => pickle.push(b'N'),
        Some(&count) => pickle.extend(std::iter::repeat_n(b'\x86', count - 1)),
        None => {}
    }
    pickle.push(b'.');
    pickle
}
