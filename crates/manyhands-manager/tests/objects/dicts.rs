use crate::world::{World, refused};

fn dict(source: &str) -> World {
    World::new("dict", source)
}

#[test]
fn a_dict_is_made_of_pairs_and_names() {
    for (source, expected) in [
        ("", "{}"),
        ("{'a': 1, 2: ?}, b=3", "{'a': 1, 2: ?, 'b': 3}"),
        ("[('a', 1), ['b', 2], ('a', 3)]", "{'a': 3, 'b': 2}"),
        ("a=1, b=2", "{'a': 1, 'b': 2}"),
    ] {
        dict(source).alone(&[("copy()", expected)]);
    }
    for source in ["1", "?", "[1]", "[(1, 2, 3)]", "{?: 1}", "{}, {}"] {
        assert_eq!(refused("dict", source), "give", "{source}");
    }
}

#[test]
fn keys_are_those_of_python() {
    dict("").alone(&[
        ("__setitem__(1, 'int')", "None"),
        ("__setitem__(1.0, 'float')", "None"),
        ("__setitem__((1, 'a'), 'tuple')", "None"),
        ("__setitem__([], 1)", "ask"),
        ("__setitem__((1, []), 1)", "ask"),
        ("__setitem__(nan, 1)", "give"),
        ("__setitem__(?, 1)", "give"),
        ("copy()", "{1: 'float', (1, 'a'): 'tuple'}"),
        ("__getitem__(True)", "'float'"),
        ("__getitem__('1')", "KeyError('1')"),
        ("__getitem__(?)", "ask"),
        ("__getitem__([])", "ask"),
        ("__contains__((1.0, 'a'))", "True"),
        ("__contains__(2)", "False"),
        ("__contains__(?)", "ask"),
        ("__delitem__(1)", "None"),
        ("__delitem__(1)", "KeyError(1)"),
        ("__delitem__(?)", "give"),
        ("__len__()", "1"),
    ]);
}

#[test]
fn a_dict_keeps_the_order_in_which_keys_came() {
    dict("a=1, b=2, c=3").alone(&[
        ("__setitem__('a', 4)", "None"),
        ("pop('b')", "2"),
        ("__setitem__('b', 5)", "None"),
        ("keys()", "['a', 'c', 'b']"),
        ("values()", "[4, 3, 5]"),
        ("items()", "[('a', 4), ('c', 3), ('b', 5)]"),
        ("popitem()", "('b', 5)"),
        ("setdefault('c', 9)", "3"),
        ("setdefault('d', ?)", "?"),
        ("setdefault('e')", "None"),
        ("get('e', 1)", "None"),
        ("get('f', 1)", "1"),
        ("get('f')", "None"),
        ("get()", "ask"),
        ("get('f', default=1)", "ask"),
        ("pop('f')", "KeyError('f')"),
        ("pop('f', 'g')", "'g'"),
        ("pop(?, 1)", "give"),
        ("update({'c': 0}, f=1)", "None"),
        ("update([('c', 7), (?, 8)])", "give"),
        ("update([('c', 7), ([], 8)])", "ask"),
        ("update(?)", "give"),
        ("update(1)", "ask"),
        ("!state", "{'a': 4, 'c': 0, 'd': ?, 'e': None, 'f': 1}"),
        ("__or__({'a': 0, 'z': 1})", "{'a': 0, 'c': 0, 'd': ?, 'e': None, 'f': 1, 'z': 1}"),
        ("__ror__({'z': 1, 'a': 0})", "{'z': 1, 'a': 4, 'c': 0, 'd': ?, 'e': None, 'f': 1}"),
        ("__or__([('a', 0)])", "ask"),
        ("clear()", "None"),
        ("__ior__([('a', 0)])", "{'a': 0}"),
        ("popitem()", "('a', 0)"),
        ("popitem()", "KeyError('popitem(): dictionary is empty')"),
        ("fromkeys([1])", "ask"),
    ]);
}

#[test]
fn many_deletions_leave_the_order_as_it_is() {
    let mut dict = dict("");
    for key in 0..100 {
        dict.call(1, &format!("__setitem__({key}, {key})"));
    }
    for key in (0..100).filter(|key| key % 7 != 3) {
        assert_eq!(dict.call(1, &format!("pop({key})")), key.to_string());
    }
    let left: Vec<u32> = (0..100).filter(|key| key % 7 == 3).collect();
    assert_eq!(dict.call(1, "keys()"), format!("{left:?}"));
    for key in left.iter().rev() {
        assert_eq!(dict.call(1, &format!("__getitem__({key})")), key.to_string());
        assert_eq!(dict.call(1, "popitem()"), format!("({key}, {key})"));
    }
}

#[test]
fn an_iterator_notices_another_size() {
    let mut dict = dict("a=1, b=2");
    dict.alone(&[
        ("__iter__()", "made Iterator"),
        ("__setitem__('a', 5)", "None"),
        ("__delitem__('b')", "None"),
        ("__setitem__('b', 5)", "None"),
    ]);
    let mut iterator = World::new("Event", "");
    iterator.object = dict.made.take().unwrap();
    iterator.alone(&[("__next__()", "'a'")]);
    dict.alone(&[("clear()", "None")]);
    let changed = "RuntimeError('dictionary changed size during iteration')";
    iterator.alone(&[("__next__()", changed)]);
    dict.alone(&[("update(a=1, b=2)", "None")]);
    iterator.alone(&[("__next__()", changed)]);
}

#[test]
fn numbers_are_incremented_at_once() {
    dict("a=1, b=1.5, s='x', o=?, m=9223372036854775807").alone(&[
        ("increment('a')", "2"),
        ("increment('a', 5)", "7"),
        ("increment('a', by=0.5)", "7.5"),
        ("increment('b', -1)", "0.5"),
        ("increment('new')", "1"),
        ("increment('newer', by=2.0)", "2.0"),
        ("increment('s')", "TypeError('increment() adds to numbers only')"),
        ("increment('a', 'x')", "TypeError('increment() adds to numbers only')"),
        ("increment('o')", "give"),
        ("increment('m')", "give"),
        ("increment()", "ask"),
        (
            "items()",
            "[('a', 7.5), ('b', 0.5), ('s', 'x'), ('o', ?), ('m', 9223372036854775807), \
                     ('new', 1), ('newer', 2.0)]",
        ),
    ]);
}

#[test]
fn a_swap_fails_if_somebody_stored_in_between() {
    dict("a=1").alone(&[
        ("#PEEK('a')", "(1, 1, 1)"),
        ("#SWAP('a', 1, 2)", "True"),
        ("#SWAP('a', 1, 3)", "False"),
        ("#PEEK('a')", "(2, 2, 2)"),
        ("__setitem__('a', 2)", "None"),
        ("#SWAP('a', 2, 3)", "False"),
        ("#PEEK('b')", "(0, None, 0)"),
        ("#SWAP('b', 0, 'new')", "True"),
        ("#SWAP('b', 0, 'newer')", "False"),
        ("pop('b')", "'new'"),
        ("#SWAP('b', 4, 'old')", "False"),
        ("copy()", "{'a': 2}"),
    ]);
}

#[test]
fn what_was_changed_in_place_is_kept() {
    dict("a='x'").alone(&[
        ("#SWAP('a', 1, 'xy', True)", "True"),
        ("#PEEK('a')", "(2, 'xy', 1)"),
        ("#SWAP('a', 2, 'xyz', True)", "True"),
        ("#KEEP('a', 1, 'xy')", "None"),
        ("#PEEK('a')", "(3, 'xyz', 1)"),
        // By somebody who puts another in its place.
        ("#SWAP('a', 3, 'z')", "True"),
        ("#PEEK('a')", "(4, 'z', 4)"),
        ("#KEEP('a', 1, 'xy')", "None"),
        ("#PEEK('a')", "(5, 'xy', 5)"),
        ("__delitem__('a')", "None"),
        ("#KEEP('a', 5, 'x')", "None"),
        ("#PEEK('a')", "(6, 'x', 6)"),
        ("#KEEP('a', 'x')", "ask"),
    ]);
}

#[test]
fn an_update_of_somebody_else_is_not_lost_silently() {
    dict("a=1, b=1").together(&[
        (1, "__getitem__('a')", "1"),
        (2, "get('a')", "1"),
        (2, "__setitem__('a', 2)", "None"),
        (1, "__setitem__('a', 2)", "None raced 'a'"),
        // Without having read it.
        (2, "__setitem__('a', 3)", "None"),
        (1, "__setitem__('a', 4)", "None"),
        // It read another.
        (1, "__getitem__('b')", "1"),
        (2, "__setitem__('a', 5)", "None"),
        (1, "__setitem__('a', 6)", "None"),
        (1, "__setitem__('b', 6)", "None"),
        // It was not there, and then was.
        (1, "get('c', 0)", "0"),
        (2, "__setitem__('c', 1)", "None"),
        (1, "__setitem__('c', 1)", "None raced 'c'"),
        // It was there, and then was not.
        (1, "setdefault('c', 0)", "1"),
        (2, "__delitem__('c')", "None"),
        (1, "__setitem__('c', 1)", "None raced 'c'"),
        // The last read counts.
        (1, "__getitem__('c')", "1"),
        (2, "increment('c')", "2"),
        (1, "__getitem__('c')", "2"),
        (1, "__setitem__('c', 3)", "None"),
        // Who changed it is no other.
        (1, "__getitem__('c')", "3"),
        (1, "increment('c')", "4"),
        (1, "__setitem__('c', 1)", "None"),
        (1, "__getitem__('c')", "1"),
        (1, "update(c=2)", "None"),
        (1, "__setitem__('c', 1)", "None"),
        (1, "__getitem__('c')", "1"),
        (1, "pop('c')", "1"),
        (1, "__setitem__('c', 1)", "None"),
    ]);
}

#[test]
fn what_is_replaced_by_the_same_has_not_changed() {
    dict("a='x'").together(&[
        (1, "__getitem__('a')", "'x'"),
        (2, "__setitem__('a', 'x')", "None"),
        (1, "__setitem__('a', 'y')", "None"),
        (1, "__getitem__('a')", "'y'"),
        (2, "__setitem__('a', 'x')", "None"),
        (2, "__setitem__('a', 'x')", "None"),
        (1, "__setitem__('a', 'y')", "None raced 'a'"),
        // Removed in between, so others have seen that it was not there.
        (1, "__getitem__('a')", "'y'"),
        (2, "pop('a')", "'y'"),
        (2, "__setitem__('a', 'y')", "None"),
        (1, "__setitem__('a', 'z')", "None raced 'a'"),
    ]);
}

#[test]
fn only_the_last_keys_that_were_read_are_known() {
    let mut dict = dict("a=1");
    dict.together(&[(1, "get('a')", "1")]);
    for number in 0..16 {
        dict.together(&[(1, &format!("get({number})"), "None")]);
    }
    dict.together(&[
        (2, "__setitem__('a', 2)", "None"),
        (1, "__setitem__('a', 2)", "None"),
        (2, "__setitem__(0, 2)", "None"),
        (1, "__setitem__(0, 2)", "None raced 0"),
    ]);
}
