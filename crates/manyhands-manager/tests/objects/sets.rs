use crate::world::{World, refused};

fn set(source: &str) -> World {
    World::new("set", source)
}

#[test]
fn members_come_and_go() {
    set("[1, 'a', 1.0]").alone(&[
        ("copy()", "{1, 'a'}"),
        ("add(True)", "None"),
        ("add('b')", "None"),
        ("add([])", "ask"),
        ("add(?)", "give"),
        ("__len__()", "3"),
        ("__contains__(1.0)", "True"),
        ("__contains__({|1})", "ask"),
        ("discard('z')", "None"),
        ("discard('a')", "None"),
        ("remove('a')", "KeyError('a')"),
        ("remove({|1})", "give"),
        ("remove(1)", "None"),
        ("!state", "{'b'}"),
        ("pop()", "'b'"),
        ("pop()", "KeyError('pop from an empty set')"),
        ("update([1, 2], (3,))", "None"),
        ("clear()", "None"),
        ("copy()", "{}"),
    ]);
    assert_eq!(refused("set", "[[]]"), "give");
    assert_eq!(refused("set", "[?]"), "give");
}

#[test]
fn sets_are_put_together() {
    set("[1, 2, 3]").alone(&[
        ("__or__({|3, 4})", "{1, 2, 3, 4}"),
        ("__or__([4])", "ask"),
        ("__and__({|3.0, 4})", "{3.0}"),
        ("__and__({|3.0, 4, 5, 6})", "{3}"),
        ("__sub__({|3, 4})", "{1, 2}"),
        ("__xor__({|3, 4})", "{1, 2, 4}"),
        ("__rsub__({|3, 4})", "{4}"),
        ("__rsub__(frozenset(3, 4))", "ask"),
        ("union([4], 'a')", "{1, 2, 3, 4, 'a'}"),
        ("union()", "{1, 2, 3}"),
        ("union(1)", "ask"),
        ("union(?)", "ask"),
        ("intersection([1, 2], (2, 3))", "{2}"),
        ("difference([1], [2])", "{3}"),
        ("symmetric_difference([1, 1, 9])", "{2, 3, 9}"),
        ("symmetric_difference([1], [9])", "ask"),
        ("isdisjoint([4])", "True"),
        ("isdisjoint([1])", "False"),
        ("issubset([1, 2, 3, 4])", "True"),
        ("issuperset([1, 4])", "False"),
        ("__le__({|1, 2, 3})", "True"),
        ("__lt__({|1, 2, 3})", "False"),
        ("__ge__({|1, 2})", "True"),
        ("__gt__({|1, 2})", "True"),
        ("__gt__([1])", "ask"),
        ("difference_update([1])", "None"),
        ("__ior__({|7})", "{2, 3, 7}"),
        ("__iand__({|7, 2})", "{7, 2}"),
        ("__isub__({|2})", "{7}"),
        ("__ixor__({|7, 8})", "{8}"),
        ("intersection_update([?])", "give"),
        ("intersection_update([9])", "None"),
        ("symmetric_difference_update([9])", "None"),
        ("copy()", "{9}"),
    ]);
}

#[test]
fn an_iterator_notices_another_size() {
    let mut set = set("[1, 2]");
    set.alone(&[("__iter__()", "made Iterator"), ("__iand__({|2})", "{2}")]);
    set.object = set.made.take().unwrap();
    set.alone(&[("__next__()", "RuntimeError('Set changed size during iteration')")]);
}
