//! The class beneath `manyhands.gevent.Greenlet`: a `greenlet.greenlet` with a body of ours behind it.
//!
//! Not a pyclass: PyO3 would drop the fields of one whose last reference goes, and only then let `greenlet` end what still runs on its
//! stack, which uses them. Here the order is: end it, drop the fields, free the memory.
#![expect(unsafe_code, reason = "a class with slots of its own over another module's")]

use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, Ordering};

use manyhands_sync::{Exclusion, Protected};
use pyo3::ffi::{self, PyObject, PyTypeObject};
use pyo3::prelude::*;
use pyo3::types::PyType;

use super::api;
use super::body::{Body, Stage};
use crate::exclusion::Interpreter;

type Cell = <Interpreter as Exclusion>::Cell<Body>;

/// What lies behind a `greenlet.greenlet`. Memory that is all zeros is one that is not there yet.
#[repr(C)]
struct Behind {
    is_there: bool,
    cell: std::mem::MaybeUninit<Cell>,
}

struct Layout {
    class: *mut PyTypeObject,
    base: *mut PyTypeObject,
    offset: usize,
}

// SAFETY: classes that are never freed, as the module holds them.
unsafe impl Send for Layout {}
// SAFETY: as above.
unsafe impl Sync for Layout {}

static LAYOUT: OnceLock<Layout> = OnceLock::new();

/// The class that programs see, which derives from the one here.
static USUAL: AtomicPtr<PyTypeObject> = AtomicPtr::new(std::ptr::null_mut());

/// Says which class programs see.
pub(super) fn set_usual(class: &Bound<'_, PyType>) {
    USUAL.store(class.as_type_ptr(), Ordering::Relaxed);
}

fn layout() -> &'static Layout {
    LAYOUT.get().expect("set when the module is set up")
}

/// # Safety
/// It is an object of the class, or what is being made or destroyed as one.
unsafe fn behind(object: *mut PyObject) -> *mut Behind {
    // SAFETY: the memory of an object of the class has room for it there.
    unsafe { object.cast::<u8>().add(layout().offset).cast() }
}

/// Whether it is an object of the class.
#[inline]
pub(super) fn is(object: &Bound<'_, PyAny>) -> bool {
    // SAFETY: both are objects that are alive.
    unsafe {
        let class = ffi::Py_TYPE(object.as_ptr());
        // Nearly all are of the one class that programs see.
        class == USUAL.load(Ordering::Relaxed) || ffi::PyType_IsSubtype(class, layout().class) != 0
    }
}

/// Touches the body; `None` if the object is none of the class.
#[inline]
pub(super) fn with<R>(object: &Bound<'_, PyAny>, work: impl FnOnce(&mut Body) -> R) -> Option<R> {
    // SAFETY: it is of the class, and a body that is there stays until the object goes.
    is(object).then(|| unsafe {
        let behind = behind(object.as_ptr());
        debug_assert!((*behind).is_there);
        (*behind).cell.assume_init_ref().with(work)
    })
}

/// # Safety
/// The interpreter calls it, to make an object of that class or one that is derived from it.
unsafe extern "C" fn new(
    class: *mut PyTypeObject,
    _args: *mut PyObject,
    _kwargs: *mut PyObject,
) -> *mut PyObject {
    // SAFETY: the base is ready, and makes objects as large as the class says, in memory that was all zeros.
    unsafe {
        let Some(make) = (*layout().base).tp_new else { return std::ptr::null_mut() };
        let nothing = ffi::PyTuple_New(0);
        let object = make(class, nothing, std::ptr::null_mut());
        ffi::Py_DECREF(nothing);
        if !object.is_null() {
            let behind = behind(object);
            (*behind).cell.write(Protected::new(Body::default()));
            (*behind).is_there = true;
        }
        object
    }
}

/// An object of a class that is derived from it, not initialized yet.
pub(super) fn make_one<'py>(class: &Bound<'py, PyType>) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a class that is derived from ours and does not make its objects itself, as the only caller sees to.
    unsafe {
        let object = new(class.as_type_ptr(), std::ptr::null_mut(), std::ptr::null_mut());
        Bound::from_owned_ptr_or_err(class.py(), object)
    }
}

/// # Safety
/// The interpreter calls it when nobody refers to the object any more.
unsafe extern "C" fn finalize(object: *mut PyObject) {
    // SAFETY: called attached, with an object that is alive for now.
    unsafe {
        let py = Python::assume_attached();
        let greenlet = Bound::from_borrowed_ptr(py, object);
        if !api::is_active(&greenlet) {
            return;
        }
        let before = PyErr::take(py);
        if let Err(error) = end_now(&greenlet) {
            error.write_unraisable(py, Some(&greenlet));
        }
        if let Some(before) = before {
            before.restore(py);
        }
    }
}

/// Ends a greenlet that is parked, here and now, if this is its thread; `greenlet` itself cares for those of others.
pub(super) fn end_now(greenlet: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = greenlet.py();
    let current = api::current(py)?;
    // That comes back here afterwards; it is an error if the thread is another's.
    if current.is(greenlet) || api::set_parent(greenlet, &current).is_err() {
        return Ok(());
    }
    api::throw(greenlet, PyErr::from_type(api::exit(py), ())).map(drop)
}

/// # Safety
/// The interpreter calls it to free the object.
unsafe extern "C" fn dealloc(object: *mut PyObject) {
    // SAFETY: called attached; the object is not used afterwards, unless the base brings it to life again.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if ffi::PyObject_CallFinalizerFromDealloc(object) < 0 {
            return; // alive again
        }
        let py = Python::assume_attached();
        ffi::PyObject_GC_UnTrack(object.cast());
        let behind = behind(object);
        // One that still runs belongs to another thread, which will come here for it: the base sees to that.
        let runs = api::is_active(&Borrowed::from_ptr(py, object));
        if (*behind).is_there && !runs {
            (*behind).is_there = false;
            let body = (*behind).cell.assume_init_ref().with(std::mem::take);
            body.release(py);
            (*behind).cell.assume_init_drop();
        }
        if let Some(free) = (*layout().base).tp_dealloc {
            free(object);
        }
        ffi::Py_DECREF(class.cast());
    }
}

/// # Safety
/// The collector calls it.
unsafe extern "C" fn traverse(
    object: *mut PyObject,
    visit: ffi::visitproc,
    argument: *mut c_void,
) -> c_int {
    // SAFETY: as the collector wants it: visits what the object refers to, and its class.
    unsafe {
        let class = ffi::Py_TYPE(object);
        let visited = visit(class.cast(), argument);
        if visited != 0 {
            return visited;
        }
        if let Some(base) = (*layout().base).tp_traverse {
            let visited = base(object, visit, argument);
            if visited != 0 {
                return visited;
            }
        }
        let behind = behind(object);
        if !(*behind).is_there {
            return 0;
        }
        (*behind)
            .cell
            .assume_init_ref()
            .with(|body| body.visit(&mut |object| visit(object, argument)))
    }
}

/// Whether the collector may care for the object: not for one that runs or is parked. It asks for each reference to one, and the base
/// takes long to say.
///
/// # Safety
/// The interpreter calls it, with an object of the class.
unsafe extern "C" fn is_gc(object: *mut PyObject) -> c_int {
    // SAFETY: an object of the class, whose memory is all zeros before there is a body.
    unsafe {
        let behind = behind(object);
        // A class of a program's own may have a `run` that does not say that it has begun.
        let is_usual = ffi::Py_TYPE(object) == USUAL.load(Ordering::Relaxed);
        if is_usual && cfg!(not(Py_GIL_DISABLED)) && (*behind).is_there {
            let stage = (*behind).cell.assume_init_ref().with(|body| body.stage);
            if matches!(stage, Stage::New | Stage::Due) {
                return 1;
            }
        }
        (*layout().base).tp_is_gc.map_or(1, |base| base(object))
    }
}

/// # Safety
/// The collector calls it.
unsafe extern "C" fn clear(object: *mut PyObject) -> c_int {
    // SAFETY: called attached, with an object that is alive.
    unsafe {
        let behind = behind(object);
        if (*behind).is_there {
            let body = (*behind).cell.assume_init_ref().with(Body::take_references);
            body.release(Python::assume_attached());
        }
        (*layout().base).tp_clear.map_or(0, |base| base(object))
    }
}

/// Makes the class.
pub(super) fn make<'py>(py: Python<'py>, init: ffi::initproc) -> PyResult<Bound<'py, PyType>> {
    let base = api::class(py);
    let base_pointer = base.as_type_ptr();
    // SAFETY: a class that is ready.
    let base_size = unsafe { (*base_pointer).tp_basicsize } as usize;
    let align = std::mem::align_of::<Behind>();
    let offset = base_size.div_ceil(align) * align;
    let slot = |slot: c_int, function: *mut c_void| ffi::PyType_Slot { slot, pfunc: function };
    let mut slots = [
        slot(ffi::Py_tp_new, new as *mut c_void),
        slot(ffi::Py_tp_init, init as *mut c_void),
        slot(ffi::Py_tp_dealloc, dealloc as *mut c_void),
        slot(ffi::Py_tp_finalize, finalize as *mut c_void),
        slot(ffi::Py_tp_traverse, traverse as *mut c_void),
        slot(ffi::Py_tp_clear, clear as *mut c_void),
        slot(ffi::Py_tp_is_gc, is_gc as *mut c_void),
        slot(0, std::ptr::null_mut()),
    ];
    let flags = ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_BASETYPE | ffi::Py_TPFLAGS_HAVE_GC;
    let mut spec = ffi::PyType_Spec {
        name: c"manyhands._native.RawGreenlet".as_ptr(),
        basicsize: (offset + std::mem::size_of::<Behind>()) as c_int,
        itemsize: 0,
        flags: flags as std::ffi::c_uint,
        slots: slots.as_mut_ptr(),
    };
    // SAFETY: the slots are of the types that their numbers say; a new reference or an error comes back. The layout is set before
    // any object can be made.
    unsafe {
        let class = ffi::PyType_FromSpecWithBases(&raw mut spec, base.as_ptr());
        let class = Bound::from_owned_ptr_or_err(py, class)?.cast_into_unchecked::<PyType>();
        // It is never freed: objects of it may outlive the module.
        ffi::Py_INCREF(class.as_ptr());
        let layout = Layout { class: class.as_type_ptr(), base: base_pointer, offset };
        let _ = LAYOUT.set(layout);
        Ok(class)
    }
}
