//! Objects cut out of requests.

use bytes::Bytes;
use manyhands_manager::pickle::{Malformed, Message, Payload, RETURNED_NONE, Writer};

use super::exercise::exercise;
use super::table::CASES;

fn scan(pickle: &'static [u8]) -> Message {
    Message::scan(Bytes::from_static(pickle)).unwrap()
}

/// The arguments of a request.
fn arguments(message: &Message) -> Vec<Payload> {
    let request = message.root().tuple().unwrap();
    request[2].tuple().unwrap().iter().map(|argument| argument.payload()).collect()
}

fn join(payloads: &[&Payload]) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.list(|writer| payloads.iter().for_each(|payload| writer.payload(payload)));
    writer.finish().concat()
}

#[test]
fn arguments_of_cpython_stand_by_themselves() {
    for case in CASES {
        let message = scan(case.request);
        let request = message.root().tuple().unwrap();
        assert_eq!(request[0].str(), Some("7f12"), "{}", case.name);
        assert_eq!(request[1].str(), Some("put"), "{}", case.name);
        assert!(request[3].dict().unwrap().is_empty(), "{}", case.name);
        let cut: Vec<_> = arguments(&message).iter().map(Payload::to_pickle).collect();
        assert_eq!(cut, case.cut, "{}", case.name);
    }
}

#[test]
fn everything_in_a_request_of_cpython_can_be_cut_and_joined() {
    for case in CASES {
        exercise(case.request).unwrap();
    }
}

#[test]
fn shapes_are_seen_through_the_memo() {
    // (slice(1, None, 2), fractions.Fraction, 'key', ['key', True, 1.5, -1])
    let message = scan(
        b"\x80\x04(\x8c\x08builtins\x94\x8c\x05slice\x94\x93K\x01NK\x02\x87R\x8c\x09fractions\
          \x8c\x08Fraction\x93\x8c\x03key\x94](h\x02\x88G?\xf8\0\0\0\0\0\0J\xff\xff\xff\xffet.",
    );
    let members = message.root().tuple().unwrap();
    let [start, stop, step] = members[0].slice().unwrap();
    assert_eq!((start.int(), stop.is_none(), step.int()), (Some(1), true, Some(2)));
    let (callable, arguments, state) = members[0].reduced().unwrap();
    assert_eq!(callable.global(), Some(("builtins", "slice")));
    assert_eq!((arguments.tuple().unwrap().len(), state.is_none()), (3, true));
    assert_eq!(members[1].global(), Some(("fractions", "Fraction")));
    let list = members[3].list().unwrap();
    assert_eq!(list[0].str(), Some("key"));
    assert_eq!((list[1].bool(), list[1].int()), (Some(true), None));
    assert_eq!((list[2].float(), list[3].int()), (Some(1.5), Some(-1)));
    assert!(!members[0].is_plain() && !members[1].is_plain() && members[3].is_plain());
}

#[test]
fn joined_payloads_take_from_their_own_memo() {
    // (x, x) with x = [].
    let message = scan(b"\x80\x04N\x8c\x03put]\x94h\0\x86\x94\x85\x87.");
    let payload = &arguments(&message)[0];
    assert_eq!(payload.to_pickle(), b"\x80\x04]\x94h\0\x86\x94.".as_slice());
    assert_eq!(join(&[payload, payload]), b"\x80\x04](]\x94h\0\x86\x94]\x94h\x02\x86\x94e.");
    let many = join(&vec![payload; 200]);
    assert!(many.ends_with(b"]\x94j\x8e\x01\0\0\x86\x94e."));
    exercise(&many).unwrap();
}

#[test]
fn what_was_popped_is_still_in_the_memo() {
    // ('put', 'b', ([], 'b')), whose list was made before the first 'b' and popped.
    let popped = b"\x80\x04(\x8c\x03put]\x940\x8c\x01b\x94h\0h\x01\x86t.";
    exercise(popped).unwrap();
    let message = scan(popped);
    let pair = message.root().tuple().unwrap()[2].payload();
    assert_eq!(pair.to_pickle(), b"\x80\x04]\x940\x8c\x01b\x940h\0h\x01\x86.".as_slice());
    // A list in itself, and something that is popped in the end.
    exercise(b"\x80\x04]\x94h\0a\x94cm\nn\n\x94\x940.").unwrap();
}

#[test]
fn replies_are_pairs() {
    let parts = Writer::returned(&Payload::int(5));
    assert_eq!(parts.concat(), b"\x80\x04\x8c\x07#RETURNK\x05\x86.");
    assert_eq!(Writer::returned(&Payload::none()).concat(), RETURNED_NONE);
}

#[test]
fn large_bytes_are_not_copied() {
    let mut request = b"\x80\x04N\x8c\x03putB\x40\x42\x0f\0".to_vec();
    request.resize(request.len() + 1_000_000, b'x');
    request.extend_from_slice(b"\x94\x85\x87.");
    let bytes = Bytes::from(request);
    let place = bytes.as_ptr_range();
    let message = Message::scan(bytes.clone()).unwrap();
    let payload = &arguments(&message)[0];
    let within = |part: &Bytes| part.len() > 4096 && place.contains(&part.as_ptr());
    assert!(Writer::returned(payload).iter().any(within));
    let mut writer = Writer::new();
    writer.list(|writer| writer.payload(payload));
    assert_eq!(writer.finish().iter().filter(|part| within(part)).count(), 1);
}

#[test]
fn a_small_payload_keeps_no_large_message() {
    let mut request = b"\x80\x04N\x8c\x03put(B\x40\x42\x0f\0".to_vec();
    request.resize(request.len() + 1_000_000, b'x');
    request.extend_from_slice(b"K\x05t\x87.");
    let bytes = Bytes::from(request);
    let payload = {
        let message = Message::scan(bytes.clone()).unwrap();
        arguments(&message).pop().unwrap()
    };
    assert!(bytes.is_unique());
    assert_eq!(payload.to_pickle(), b"\x80\x04K\x05.".as_slice());
}

#[test]
fn nothing_grows_out_of_what_is_shared() {
    // 60 lists, each of which has the one before twice.
    let mut bomb = b"\x80\x04]\x94".to_vec();
    for number in 0..60 {
        bomb.extend_from_slice(&[b'0', b']', b'\x94', b'(', b'h', number, b'h', number, b'e']);
    }
    bomb.push(b'.');
    let message = Message::scan(bomb.into()).unwrap();
    assert!(message.root().list().is_some());
    assert!(message.root().plain().is_none());
    assert!(!message.root().is_plain());
}

#[test]
fn deep_nesting_is_scanned_but_not_plain() {
    let mut deep = b"\x80\x04N".to_vec();
    deep.resize(1_000_000, b'\x85');
    deep.push(b'.');
    let message = Message::scan(deep.into()).unwrap();
    assert!(!message.root().is_plain());
    let inner = message.root().tuple().unwrap()[0];
    assert_eq!(inner.payload().len(), 999_997);
}

#[test]
fn what_is_no_pickle_is_refused() {
    let refused: &[&[u8]] = &[
        b"",
        b"\x80",
        b"\x80\x04",
        b"\x80\x04.",
        b"\x80\x06N.",
        b"NN.",
        b"N",
        b"0.",
        b"(.",
        b"(N.",
        b"Nt.",
        b"N\x86.",
        b"K",
        b"\x8c\x05a.",
        b"B\xff\xff\xff\xff.",
        b"\x94N.",
        b"(\x94.",
        b"h\0.",
        b"Nq\x01.",
        b"](h\0.",
        b"]Ne.",
        b"](Nu.",
        b"2.",
        b"N2.",
        b"\xff.",
        b"cos\nsystem\n.",
        b"(o.",
        b"\x80\x04]\x94]h\0Na0a.",
    ];
    for pickle in refused {
        let refused = Message::scan(Bytes::from_static(pickle));
        assert!(matches!(refused, Err(Malformed::Pickle { .. })), "{pickle:?}");
    }
    let error = Message::scan(Bytes::from_static(b"\x80\x04N")).unwrap_err();
    assert_eq!(error.to_string(), "not a pickle that can be read, at byte 3: it ends early");
}

#[test]
fn payloads_can_be_anywhere() {
    fn is_shared<T: Clone + Send + Sync + 'static>() {}
    is_shared::<Payload>();
}
