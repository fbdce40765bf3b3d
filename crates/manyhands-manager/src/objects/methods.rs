//! What may be called of objects by default: what managers of Python expose.

const QUEUE: &[&str] = &[
    "empty",
    "full",
    "get",
    "get_nowait",
    "join",
    "put",
    "put_nowait",
    "qsize",
    "shutdown",
    "task_done",
];

const LIST: &[&str] = &[
    "__add__",
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__imul__",
    "__len__",
    "__mul__",
    "__rmul__",
    "__setitem__",
    "append",
    "clear",
    "copy",
    "count",
    "extend",
    "index",
    "insert",
    "pop",
    "remove",
    "reverse",
    "sort",
];

const DICT: &[&str] = &[
    "__contains__",
    "__delitem__",
    "__getitem__",
    "__ior__",
    "__iter__",
    "__len__",
    "__or__",
    "__ror__",
    "__setitem__",
    "clear",
    "copy",
    "get",
    "items",
    "keys",
    "pop",
    "popitem",
    "setdefault",
    "update",
    "values",
];

const SET: &[&str] = &[
    "__and__",
    "__contains__",
    "__ge__",
    "__gt__",
    "__iand__",
    "__ior__",
    "__isub__",
    "__iter__",
    "__ixor__",
    "__le__",
    "__len__",
    "__lt__",
    "__or__",
    "__rand__",
    "__ror__",
    "__rsub__",
    "__rxor__",
    "__sub__",
    "__xor__",
    "add",
    "clear",
    "copy",
    "difference",
    "difference_update",
    "discard",
    "intersection",
    "intersection_update",
    "isdisjoint",
    "issubset",
    "issuperset",
    "pop",
    "remove",
    "symmetric_difference",
    "symmetric_difference_update",
    "union",
    "update",
];

/// The methods of a kind of objects that clients may call if nothing else is said; none of a kind that nobody knows.
///
/// ```
/// assert!(manyhands_manager::objects::methods("Queue").contains(&"task_done"));
/// assert!(manyhands_manager::objects::methods("Stack").is_empty());
/// ```
pub fn methods(kind: &str) -> &'static [&'static str] {
    match kind {
        "Queue" | "JoinableQueue" | "LifoQueue" | "PriorityQueue" => QUEUE,
        "list" => LIST,
        "dict" => DICT,
        "set" => SET,
        "Namespace" => &["__getattribute__", "__setattr__", "__delattr__"],
        "Value" => &["get", "set"],
        "Array" => &["__len__", "__getitem__", "__setitem__"],
        "Lock" | "RLock" | "Semaphore" | "BoundedSemaphore" => &["acquire", "release"],
        "Condition" => &["acquire", "release", "wait", "notify", "notify_all"],
        "Event" => &["is_set", "set", "clear", "wait"],
        "Barrier" => &["__getattribute__", "wait", "abort", "reset"],
        _ => &[],
    }
}

/// All kinds that are known.
pub(crate) const KINDS: [&str; 17] = [
    "Queue",
    "JoinableQueue",
    "LifoQueue",
    "PriorityQueue",
    "list",
    "dict",
    "set",
    "Namespace",
    "Value",
    "Array",
    "Lock",
    "RLock",
    "Semaphore",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Barrier",
];
