//! What holds for any bytes and any objects.

use manyhands_manager::pickle::{Integer, Message, Payload, Plain, Writer};
use proptest::collection::vec;
use proptest::prelude::*;

use super::exercise::{exercise, pickle_of};
use super::table::CASES;

fn plain() -> impl Strategy<Value = Plain> {
    let atom = prop_oneof![
        Just(Plain::None),
        any::<bool>().prop_map(Plain::Bool),
        any::<i64>().prop_map(Plain::int),
        (-300_i64..70_000).prop_map(Plain::int),
        any::<f64>().prop_map(Plain::Float),
        ".{0,300}".prop_map(|text: String| Plain::Str(text.into())),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Plain::Bytes(bytes.into())),
        vec(any::<u8>(), 0..300).prop_map(|bytes| Plain::Bytearray(bytes.into())),
        vec(any::<u8>(), 8..300).prop_map(|mut bytes| {
            bytes.push(1);
            Plain::Int(Integer::Big(bytes.into()))
        }),
    ];
    atom.prop_recursive(4, 40, 6, |member| {
        let members = vec(member.clone(), 0..6);
        prop_oneof![
            members.clone().prop_map(Plain::Tuple),
            members.clone().prop_map(Plain::List),
            members.clone().prop_map(Plain::Set),
            members.prop_map(Plain::Frozenset),
            vec((member.clone(), member), 0..5).prop_map(Plain::Dict),
        ]
    })
}

proptest! {
    #[test]
    fn plain_objects_come_back_as_they_were(one in plain(), two in plain()) {
        let mut writer = Writer::new();
        writer.tuple(|writer| {
            writer.plain(&one);
            writer.payload(&Payload::of(&two));
        });
        let message = Message::scan(writer.finish().concat().into()).unwrap();
        let members = message.root().tuple().unwrap();
        let back: Vec<_> = members.iter().map(|member| member.plain()).collect();
        let cut: Vec<_> = members.iter().map(|member| member.payload().plain()).collect();
        let expected = format!("{:?}", [Some(one), Some(two)]);
        prop_assert_eq!(&format!("{back:?}"), &expected);
        prop_assert_eq!(&format!("{cut:?}"), &expected);
    }

    #[test]
    fn any_bytes_are_scanned_or_refused(bytes in vec(any::<u8>(), 0..200)) {
        let _ = exercise(&bytes);
    }

    #[test]
    fn changed_pickles_are_scanned_or_refused(
        case in 0..CASES.len(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = CASES[case].request.to_vec();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        let _ = exercise(&bytes);
        bytes.truncate(length.index(bytes.len()));
        let _ = exercise(&bytes);
    }
}

proptest! {
    // Most of what goes wrong needs several opcodes that do not come together often.
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn any_opcodes_are_cut_and_joined(choices in vec(any::<u8>(), 0..120)) {
        let _ = exercise(&pickle_of(&choices));
    }
}
