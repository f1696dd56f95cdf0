//! The event loops of a world, to be asked what they have still to do. They stay on the OS thread that made them, and
//! so does this.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use handwound_reactor::{Outstanding, Pending};

use crate::shared::Shared;

thread_local! {
    static LOOPS: RefCell<Vec<(usize, Weak<dyn Outstanding>)>> = const { RefCell::new(Vec::new()) };
}

fn key(world: &Shared) -> usize {
    std::ptr::from_ref(world) as usize
}

/// An event loop has begun on a reactor of this world.
pub(crate) fn enlist(world: &Shared, event_loop: Weak<dyn Outstanding>) {
    // At the end of the OS thread nobody will ask.
    let _ = LOOPS.try_with(|loops| {
        let mut loops = loops.borrow_mut();
        loops.retain(|(_, other)| other.strong_count() > 0);
        loops.push((key(world), event_loop));
    });
}

/// What the loops and the pools of this world have still to do: loops first, each in the order of their making.
pub(crate) fn outstanding(world: &Arc<Shared>) -> Vec<Pending> {
    // Out of the book, and of the world: who is asked may look at either.
    let loops: Vec<Rc<dyn Outstanding>> = LOOPS.with_borrow(|loops| {
        let here = loops.iter().filter(|(of, _)| *of == key(world));
        here.filter_map(|(_, event_loop)| event_loop.upgrade()).collect()
    });
    let pools = world.with(|w| w.trace.origins.pools());
    let mut all: Vec<Pending> = loops.iter().flat_map(|event_loop| event_loop.outstanding()).collect();
    all.extend(pools.iter().flat_map(|pool| pool.outstanding()));
    all
}

/// The world is over; its place in memory may become another's.
pub(crate) fn forget(world: &Shared) {
    let _ = LOOPS.try_with(|loops| loops.borrow_mut().retain(|(of, _)| *of != key(world)));
}
