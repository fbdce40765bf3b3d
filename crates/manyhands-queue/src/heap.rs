//! A binary heap whose comparisons may fail.
//!
//! Each operation first finds out where the items go ([`push_place`], [`pop_place`]), comparing but
//! moving nothing, and then moves them ([`push`], [`pop`]), comparing nothing. A comparison that
//! fails, or asks to be made elsewhere, so leaves the heap as it was. The comparisons are those that
//! Python's `heapq` makes, in the same order, so that equal items leave in the same order too.
//!
//! # References
//! `heapq` in the Python library reference; Knuth, The Art of Computer Programming, vol. 3, 5.2.3.

fn parent(place: usize) -> usize {
    (place - 1) / 2
}

/// Where a new item belongs in a heap of `len` items: it and its ancestors between there and the end
/// move down.
///
/// `new_is_less(i)` says whether the new item is less than the one at `i`.
///
/// ```
/// use std::convert::Infallible;
///
/// use manyhands_queue::heap;
///
/// let items = vec![10, 20, 30];
/// let Ok(place) = heap::push_place(items.len(), |i| Ok::<_, Infallible>(5 < items[i]));
/// assert_eq!(place, 0);
/// ```
///
/// # Errors
/// The first of a comparison.
pub fn push_place<E>(
    len: usize,
    mut new_is_less: impl FnMut(usize) -> Result<bool, E>,
) -> Result<usize, E> {
    let mut place = len;
    while place > 0 && new_is_less(parent(place))? {
        place = parent(place);
    }
    Ok(place)
}

/// Puts `item` at a place that [`push_place`] found.
///
/// ```
/// use manyhands_queue::heap;
///
/// let mut items = vec![10, 20, 30];
/// heap::push(&mut items, 5, 0);
/// assert_eq!(items, [5, 10, 30, 20]);
/// ```
pub fn push<T>(heap: &mut Vec<T>, item: T, place: usize) {
    let mut hole = heap.len();
    heap.push(item);
    while hole > place {
        heap.swap(hole, parent(hole));
        hole = parent(hole);
    }
}

/// Where the last of `len` items belongs once the first is taken out: the least children on the way
/// there move up.
///
/// `is_less(i, j)` compares the items at `i` and `j`.
///
/// ```
/// use std::convert::Infallible;
///
/// use manyhands_queue::heap;
///
/// let items = vec![10, 20, 30];
/// let Ok(place) =
///     heap::pop_place(items.len(), |i, j| Ok::<_, Infallible>(items[i] < items[j]));
/// assert_eq!(place, 1);
/// ```
///
/// # Errors
/// The first of a comparison.
///
/// # Panics
/// If `len` is 0: there is no first item to take out.
pub fn pop_place<E>(
    len: usize,
    mut is_less: impl FnMut(usize, usize) -> Result<bool, E>,
) -> Result<usize, E> {
    let last = len.checked_sub(1).expect("an empty heap has no first item");
    // Down along the lesser children to a leaf: nearly always where the last item belongs...
    let mut leaf = 0;
    loop {
        let mut child = 2 * leaf + 1;
        if child >= last {
            break;
        }
        let right = child + 1;
        if right < last && !is_less(child, right)? {
            child = right;
        }
        leaf = child;
    }
    // ...and a little up again.
    while leaf > 0 && is_less(last, leaf)? {
        leaf = parent(leaf);
    }
    Ok(leaf)
}

/// Takes out the first item, given what [`pop_place`] found.
///
/// ```
/// use manyhands_queue::heap;
///
/// let mut items = vec![10, 20, 30];
/// assert_eq!(heap::pop(&mut items, 1), Some(10));
/// assert_eq!(items, [20, 30]);
/// ```
///
/// # Panics
/// If there is no such place.
pub fn pop<T>(heap: &mut Vec<T>, place: usize) -> Option<T> {
    let mut moving = heap.pop()?;
    if heap.is_empty() {
        return Some(moving);
    }
    // From `place` up to the root each takes what was below it.
    let mut hole = place;
    loop {
        std::mem::swap(&mut heap[hole], &mut moving);
        if hole == 0 {
            return Some(moving);
        }
        hole = parent(hole);
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn certain<T>(result: Result<T, Infallible>) -> T {
        let Ok(value) = result;
        value
    }

    fn push_int(heap: &mut Vec<i32>, item: i32) {
        let place = certain(push_place(heap.len(), |i| Ok(item < heap[i])));
        push(heap, item, place);
    }

    fn pop_int(heap: &mut Vec<i32>) -> Option<i32> {
        if heap.is_empty() {
            return None;
        }
        let place = certain(pop_place(heap.len(), |i, j| Ok(heap[i] < heap[j])));
        pop(heap, place)
    }

    fn is_heap(heap: &[i32]) -> bool {
        (1..heap.len()).all(|place| heap[parent(place)] <= heap[place])
    }

    /// Nothing is written beside the sources; miri is slow.
    fn config() -> ProptestConfig {
        let cases = if cfg!(miri) { 4 } else { 256 };
        ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(config())]

        #[test]
        fn items_leave_in_order(operations in prop::collection::vec(prop::option::of(0..50i32), 0..200)) {
            let mut heap = Vec::new();
            let mut model = Vec::new();
            for operation in operations {
                match operation {
                    Some(item) => {
                        push_int(&mut heap, item);
                        model.push(item);
                    }
                    None => {
                        model.sort_unstable();
                        let least = if model.is_empty() { None } else { Some(model.remove(0)) };
                        prop_assert_eq!(pop_int(&mut heap), least);
                    }
                }
                prop_assert!(is_heap(&heap));
                prop_assert_eq!(heap.len(), model.len());
            }
        }

        #[test]
        fn a_failed_comparison_changes_nothing(
            items in prop::collection::vec(0..50i32, 1..60), fails_at in 0usize..8,
        ) {
            let mut heap = Vec::new();
            for item in items {
                push_int(&mut heap, item);
            }
            let before = heap.clone();
            let mut made = 0;
            let mut fail = |less: bool| {
                made += 1;
                if made == fails_at + 1 { Err(()) } else { Ok(less) }
            };
            let pushed = push_place(heap.len(), |i| fail(-1 < heap[i]));
            let popped = pop_place(heap.len(), |i, j| fail(heap[i] < heap[j]));
            prop_assert_eq!(pushed.is_err() || popped.is_err(), made > fails_at);
            prop_assert_eq!(heap, before);
        }
    }

    #[test]
    fn the_order_of_equal_items_is_that_of_heapq() {
        // What heapq gives for pushes of (0, n) compared by the first element only.
        let mut heap: Vec<(i32, usize)> = Vec::new();
        for item in [(0, 0), (0, 1), (0, 2), (0, 3), (0, 4)] {
            let place = certain(push_place(heap.len(), |i| Ok(item.0 < heap[i].0)));
            push(&mut heap, item, place);
        }
        let mut order = Vec::new();
        while !heap.is_empty() {
            let place = certain(pop_place(heap.len(), |i, j| Ok(heap[i].0 < heap[j].0)));
            order.extend(pop(&mut heap, place).map(|item| item.1));
        }
        assert_eq!(order, HEAPQ_ORDER);
    }

    const HEAPQ_ORDER: [usize; 5] = [0, 2, 4, 1, 3];
}
