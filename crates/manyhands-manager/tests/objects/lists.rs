use crate::world::{World, refused};

fn list(source: &str) -> World {
    World::new("list", source)
}

#[test]
fn a_list_is_made_of_what_can_be_iterated_over() {
    for (source, expected) in [
        ("", "[]"),
        ("[1, 'a', ?]", "[1, 'a', ?]"),
        ("(1, 2)", "[1, 2]"),
        ("'añ'", "['a', 'ñ']"),
        ("{'a': 1, 'b': 2}", "['a', 'b']"),
        ("{|1}", "[1]"),
    ] {
        list(source).alone(&[("#GETVALUE()", expected)]);
    }
    for source in ["1", "?", "[], []", "x=[]"] {
        assert_eq!(refused("list", source), "give", "{source}");
    }
}

#[test]
fn members_are_read_and_set_by_place_and_slice() {
    list("[0, 1, 2, 3, 4]").alone(&[
        ("__len__()", "5"),
        ("__getitem__(1)", "1"),
        ("__getitem__(True)", "1"),
        ("__getitem__(-1)", "4"),
        ("__getitem__(5)", "IndexError('list index out of range')"),
        ("__getitem__(-6)", "IndexError('list index out of range')"),
        ("__getitem__('a')", "ask"),
        ("__getitem__(slice(1, None, 2))", "[1, 3]"),
        ("__getitem__(slice(None, None, -2))", "[4, 2, 0]"),
        ("__getitem__(slice(-2, 100, None))", "[3, 4]"),
        ("__getitem__(slice(100, -100, -3))", "[4, 1]"),
        ("__getitem__(slice(3, 1, 1))", "[]"),
        ("__getitem__(slice(0, 1, 0))", "ask"),
        ("__getitem__(slice(0, ?, 1))", "ask"),
        ("__setitem__(-1, 'e')", "None"),
        ("__setitem__(5, 'e')", "IndexError('list assignment index out of range')"),
        ("__setitem__(slice(1, 3, None), ['b'])", "None"),
        ("__setitem__(slice(2, 0, None), 'xy')", "None"),
        ("copy()", "[0, 'b', 'x', 'y', 3, 'e']"),
        ("__setitem__(slice(None, None, 3), (7, 8))", "None"),
        ("__setitem__(slice(None, None, 3), [7])", "ask"),
        ("__setitem__(slice(0, 1, 1), 7)", "ask"),
        ("__setitem__(slice(0, 1, 1), ?)", "give"),
        ("copy()", "[7, 'b', 'x', 8, 3, 'e']"),
        ("__delitem__(0)", "None"),
        ("__delitem__(6)", "IndexError('list assignment index out of range')"),
        ("__delitem__(slice(None, None, -2))", "None"),
        ("copy()", "['x', 3]"),
        ("__delitem__(slice(None, None, None))", "None"),
        ("copy()", "[]"),
    ]);
}

#[test]
fn members_are_found_by_comparison_as_far_as_they_are_plain() {
    list("[1, 2.0, 'a', 2, ?, 3]").alone(&[
        ("__contains__(2)", "True"),
        ("__contains__(True)", "True"),
        ("__contains__(3)", "ask"),
        ("__contains__(?)", "ask"),
        ("index(2)", "1"),
        ("index(2, 2)", "3"),
        ("index(2, -99, 2)", "1"),
        ("index(9, 0, 3)", "ask"),
        ("count(2)", "ask"),
        ("remove(2)", "None"),
        ("remove(3)", "give"),
        ("remove(?)", "give"),
        ("pop(3)", "?"),
        ("remove(9)", "ValueError('list.remove(x): x not in list')"),
        ("count(2)", "1"),
        ("append(nan)", "None"),
        ("__contains__(nan)", "False"),
    ]);
}

#[test]
fn a_list_grows_and_shrinks_as_in_python() {
    list("").alone(&[
        ("pop()", "IndexError('pop from empty list')"),
        ("append(1)", "None"),
        ("append(1, 2)", "ask"),
        ("append(object=1)", "ask"),
        ("insert(0, 0)", "None"),
        ("insert(99, 3)", "None"),
        ("insert(-1, 2)", "None"),
        ("insert(-99, ?)", "None"),
        ("insert(?, 1)", "give"),
        ("insert('a', 1)", "ask"),
        ("copy()", "[?, 0, 1, 2, 3]"),
        ("pop(0)", "?"),
        ("pop(9)", "IndexError('pop index out of range')"),
        ("extend((4, 5))", "None"),
        ("extend(?)", "give"),
        ("extend(1)", "ask"),
        ("__iadd__([6])", "[0, 1, 2, 3, 4, 5, 6]"),
        ("pop()", "6"),
        ("reverse()", "None"),
        ("__add__(['x'])", "[5, 4, 3, 2, 1, 0, 'x']"),
        ("__add__((1,))", "ask"),
        ("__delitem__(slice(2, None, None))", "None"),
        ("__mul__(2)", "[5, 4, 5, 4]"),
        ("__rmul__(-1)", "[]"),
        ("__mul__(4611686018427387904)", "ask"),
        ("__imul__(?)", "give"),
        ("__imul__(2)", "[5, 4, 5, 4]"),
        ("clear()", "None"),
        ("!state", "[]"),
        ("__repr__()", "ask"),
        ("__reversed__()", "ask"),
    ]);
}

#[test]
fn plain_things_are_sorted_here() {
    for (members, arguments, expected) in [
        ("[3, 1.5, True, 2]", "", "[True, 1.5, 2, 3]"),
        ("['b', 'a', 'ab']", "", "['a', 'ab', 'b']"),
        ("[(1, 'b'), (0, 'z'), (1, 'a')]", "key=None", "[(0, 'z'), (1, 'a'), (1, 'b')]"),
        ("[1, 1.0, True, 0]", "reverse=True", "[1, 1.0, True, 0]"),
        ("[1, 1.0, True, 0]", "reverse=0", "[0, 1, 1.0, True]"),
        ("[?]", "", "give"),
        ("[{|1}, {|1, 2}]", "", "give"),
        ("[1.0, nan]", "", "give"),
        ("[1, 2]", "key=?", "give"),
        ("[1, 'a']", "", "ask"),
        ("[(1, 'a'), (2, 0), (1, 3)]", "", "ask"),
        ("[None, None]", "", "ask"),
        ("[None]", "", "[None]"),
        ("[1]", "None", "ask"),
        ("[]", "", "[]"),
    ] {
        let mut list = list(members);
        let outcome = list.call(1, &format!("sort({arguments})"));
        let outcome = if outcome == "None" { list.call(1, "copy()") } else { outcome };
        assert_eq!(outcome, expected, "{members} {arguments}");
    }
}

#[test]
fn an_iterator_goes_over_what_was_there() {
    let mut list = list("[1, 2]");
    list.alone(&[("__iter__()", "made Iterator"), ("append(3)", "None")]);
    list.object = list.made.take().unwrap();
    list.alone(&[
        ("!state", "[1, 2]"),
        ("__next__()", "1"),
        ("!state", "[2]"),
        ("__next__()", "2"),
        ("__next__()", "StopIteration()"),
        ("__next__()", "StopIteration()"),
        ("send(None)", "ask"),
    ]);
}
