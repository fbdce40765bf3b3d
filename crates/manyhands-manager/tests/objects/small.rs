//! Namespace, Value, Array.

use crate::world::{World, refused};

#[test]
fn a_namespace_has_attributes() {
    World::new("Namespace", "x=1, y=?").alone(&[
        ("__getattribute__('x')", "1"),
        ("__getattribute__('z')", "ask"),
        ("__getattribute__('__class__')", "ask"),
        ("__getattribute__(1)", "ask"),
        ("__setattr__('z', 'new')", "None"),
        ("__setattr__('x', 2)", "None"),
        ("__setattr__('__class__', 2)", "give"),
        ("__delattr__('y')", "None"),
        ("__delattr__('y')", "ask"),
        ("!state", "{'x': 2, 'z': 'new'}"),
        ("__repr__()", "ask"),
    ]);
    assert_eq!(refused("Namespace", "1"), "give");
    assert_eq!(refused("Namespace", "__class__=1"), "give");
}

#[test]
fn a_value_is_whatever_it_is_set_to() {
    World::new("Value", "'i', 5, lock=False").alone(&[
        ("get()", "5"),
        ("get(1)", "ask"),
        ("set(?)", "None"),
        ("get()", "?"),
        ("set(value='x')", "None"),
        ("!state", "('i', 'x')"),
        ("__repr__()", "ask"),
    ]);
    assert_eq!(refused("Value", "'i'"), "give");
}

#[test]
fn an_array_holds_numbers_of_its_type() {
    World::new("Array", "'i', [1, True, -3]").alone(&[
        ("__len__()", "3"),
        ("__getitem__(1)", "1"),
        ("__getitem__(-1)", "-3"),
        ("__getitem__(3)", "IndexError('array index out of range')"),
        ("__getitem__(slice(0, 2, None))", "ask"),
        ("#GETVALUE()", "ask"),
        ("__setitem__(0, 2147483647)", "None"),
        ("__setitem__(0, 2147483648)", "ask"),
        ("__setitem__(0, 1.0)", "ask"),
        ("__setitem__(0, ?)", "give"),
        ("__setitem__(3, 'a')", "IndexError('array assignment index out of range')"),
        ("__setitem__(slice(0, 1, None), ?)", "give"),
        ("!state", "('i', [2147483647, 1, -3])"),
    ]);
    World::new("Array", "'d', (1, 0.1)").alone(&[
        ("__setitem__(0, 'a')", "ask"),
        ("__setitem__(0, 2)", "None"),
        ("!state", "('d', [2.0, 0.1])"),
    ]);
    World::new("Array", "'f', [0.1]").alone(&[("__getitem__(0)", "0.10000000149011612")]);
    for source in ["'u', 'abc'", "'i', 3", "'i', [300.0]", "'B', [256]", "'ii', []", "'i'"] {
        assert_eq!(refused("Array", source), "give", "{source}");
    }
}

#[test]
fn other_kinds_are_the_interpreters() {
    assert_eq!(refused("Pool", "4"), "give");
}
