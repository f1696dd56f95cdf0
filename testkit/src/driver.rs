//! Runs the tasks of a world, one at a time, as [`World::pick`] says.
//!
//! A task that is about to do a visible operation announces it and decides at once who goes next; only when that
//! is another does it leave its coroutine. The same calls made outside of any task (by the test itself) take
//! effect at once, and drive the world where they would have to wait.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::thread::panicking;

use handwound_reactor::Time;

use crate::coroutine::{Ended, Fiber};
use crate::failure;
use crate::here;
use crate::shared::Shared;
use crate::strand::{Backend, Strand, suspend};
use crate::trace::{NEVER, TEST, What};
use crate::waits;
use crate::world::{Goal, Op, Pick, Unbegun, World};

thread_local! {
    /// The task that runs on this OS thread, and its world.
    static CURRENT: Cell<Option<(usize, u32)>> = const { Cell::new(None) };
    /// The drivers on this OS thread, by world.
    static DRIVERS: RefCell<Vec<(usize, Weak<Driver>)>> = const { RefCell::new(Vec::new()) };
}

/// What a task unwinds with when its simulation is over. No panic: no message, no failure.
struct Stopped;

/// How often a wait that cannot end is let go as a spurious wakeup, while a panic is under way and another would
/// abort the process.
const SPURIOUS_MAX: u32 = 10_000;

/// How often a task is told to unwind, or let go on while it does, before it is left where it is.
const STOPS_MAX: u32 = 10_000;

pub(crate) struct Driver {
    pub(crate) world: Arc<Shared>,
    /// In boxes: they are taken out for each turn, and put back.
    strands: RefCell<Vec<Option<Box<Strand>>>>,
    driving: Cell<bool>,
}

fn key(world: &Shared) -> usize {
    std::ptr::from_ref(world) as usize
}

/// The task of `world` that is calling, if it is one.
pub(crate) fn current(world: &Shared) -> Option<u32> {
    CURRENT.get().filter(|(of, _)| *of == key(world)).map(|(_, task)| task)
}

/// The world of the coroutine that is calling, if one is.
pub(crate) fn world_of_task() -> Option<Arc<Shared>> {
    let (world, _) = CURRENT.get()?;
    let driver = DRIVERS.with_borrow(|all| all.iter().find(|(of, _)| *of == world)?.1.upgrade())?;
    Some(Arc::clone(&driver.world))
}

/// A visible operation: waits until it may be done, and does it.
#[inline(always)]
pub(crate) fn act<R>(world: &Shared, op: Op, deed: impl FnOnce(&mut World) -> R) -> R {
    let task = current(world);
    let mut deed = Some(deed);
    if task.is_some() {
        // The most frequent case first: nobody else goes in between.
        let done = world.with(|w| w.goes_straight_on(op).then(|| deed.take().map(|deed| deed(w))));
        if let Some(Some(result)) = done {
            return result;
        }
    }
    before(world, task, op);
    let deed = deed.expect("not done above, or it would have returned");
    world.with(deed)
}

/// As [`act`], for threads that cannot be unwound: `None` when the simulation is over. An `essential` operation is
/// waited for then too, as long as others go on. The trace tells when a thread is left at a `place`, and goes on there.
pub(crate) fn act_foreign<R>(
    world: &Shared,
    op: Op,
    essential: bool,
    place: Option<&str>,
    deed: impl FnOnce(&mut World) -> R,
) -> Option<R> {
    let Some(task) = current(world) else {
        wait_outside(world, op);
        return Some(world.with(deed));
    };
    let mut deed = Some(deed);
    let done = world.with(|w| w.goes_straight_on(op).then(|| deed.take().map(|deed| deed(w))));
    if let Some(Some(result)) = done {
        return Some(result);
    }
    let deed = deed.expect("not done above, or it would have returned");
    let decide = || {
        world.with(|w| {
            if w.stopping {
                return true;
            }
            let mine = w.announce_and_pick(task, op).unwrap_or_else(|error| panic!("{error}"));
            if let Some(place) = place.filter(|_| !mine) {
                w.tell_place(task, What::Left, place);
            }
            mine
        })
    };
    // A replay that does not fit, for one. It must not unwind what is on this stack; the driver fails by it.
    let mine = catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|payload| {
        world.with(|w| {
            w.broken.get_or_insert(payload);
        });
        false
    });
    if !mine {
        suspend();
        if let Some(place) = place.filter(|_| world.with(|w| !w.stopping)) {
            world.with(|w| w.tell_place(task, What::GoesOn, place));
        }
    }
    while world.with(|w| w.stopping && !w.enabled(op)) {
        if !essential && world.with(|w| w.gives_up(task, op)) {
            return None;
        }
        suspend();
    }
    Some(world.with(|w| {
        w.stop_moves += u64::from(w.stopping);
        deed(w)
    }))
}

/// Comes before a visible operation: returns when it may be done.
fn before(world: &Shared, task: Option<u32>, op: Op) {
    match task {
        Some(task) => switch(world, task, op),
        None => wait_outside(world, op),
    }
}

fn switch(world: &Shared, task: u32, op: Op) {
    let announced = world.with(|w| {
        if w.stopping {
            return Ok((false, true));
        }
        Ok((w.announce_and_pick(task, op)?, false))
    });
    let (mine, stopping) = announced.unwrap_or_else(|error: String| panic!("{error}"));
    if mine {
        return;
    }
    if !stopping {
        // A panic under way here or in another task: see `stop`.
        let unwinding = panicking();
        suspend();
        if world.with(|w| !w.stopping) {
            return;
        }
        return stop(world, task, op, unwinding);
    }
    stop(world, task, op, panicking());
}

/// The simulation is over: unwinds the task that is calling. Where another panic might abort the process, that is
/// in a destructor, lets it go on as far as it can instead.
fn stop(world: &Shared, task: u32, op: Op, unwinding: bool) {
    let told = world.with(|w| {
        let told = &mut w.tasks[task as usize].stopped;
        *told += 1;
        *told
    });
    if told > STOPS_MAX {
        loop {
            suspend();
        }
    }
    // Told again without unwinding, it has caught the first.
    if !unwinding && (told == 1 || !panicking()) {
        resume_unwind(Box::new(Stopped));
    }
    while !world.with(|w| w.enabled(op)) {
        suspend();
    }
}

fn wait_outside(world: &Shared, op: Op) {
    if world.with(|w| w.enabled(op)) {
        return;
    }
    let driver = DRIVERS.with_borrow(|all| all.iter().find(|(of, _)| *of == key(world)).and_then(|(_, d)| d.upgrade()));
    match driver {
        Some(driver) if world.with(|w| !w.stopping) && !driver.driving.get() => {
            driver.drive(Goal::Enabled(op), Some(NEVER));
            if world.with(|w| w.enabled(op)) {
                return;
            }
            forlorn(world, "the test waits for what will never come");
        }
        Some(_) if world.with(|w| !w.stopping) => forlorn(world, "one simulation cannot wait inside another's task"),
        _ => forlorn(world, "the simulation is over, or belongs to another OS thread"),
    }
}

/// A wait that cannot end.
fn forlorn(world: &Shared, why: &str) {
    let report = || world.with(|w| waits::text(w));
    if !panicking() {
        panic!("{why}\n{}", report());
    }
    let count = world.with(|w| {
        w.spurious += 1;
        w.spurious
    });
    if count > SPURIOUS_MAX {
        eprintln!("{why}, in a destructor, while a panic is under way\n{}", report());
        std::process::abort();
    }
}

/// Runs `body` as a task of `world`, on an OS thread of its own; in coroutines, `resume` says whose task they are.
pub(crate) fn as_task(world: Arc<Shared>, task: u32, body: impl FnOnce()) {
    CURRENT.set(Some((key(&world), task)));
    let _here = here::belongs(world);
    body();
}

impl Driver {
    pub(crate) fn new(world: Arc<Shared>) -> Rc<Driver> {
        let driver = Rc::new(Driver { world, strands: RefCell::default(), driving: Cell::new(false) });
        DRIVERS.with_borrow_mut(|all| all.push((key(&driver.world), Rc::downgrade(&driver))));
        driver
    }

    /// Starts a task whose body may hold what cannot leave this OS thread.
    pub(crate) fn spawn_local(&self, name: &str, body: Box<dyn FnOnce()>) {
        let task = self.world.with(|w| w.spawn(name, None));
        self.put(task, Box::new(Strand::Fiber(Fiber::new(body))));
    }

    /// Runs tasks until `goal`; the clock goes no further than `clock_max`.
    pub(crate) fn drive(&self, goal: Goal, clock_max: Option<Time>) {
        assert!(
            !self.driving.replace(true),
            "the world is driven by the test, not by one of its threads: `settle`, `advance` and `step` belong outside; a \
             simulated thread waits by `sleep`, at a gate, or with what `handwound_reactor::sync` has"
        );
        let _over = Over(self);
        self.world.with(|w| w.aim(goal, clock_max));
        self.look_for_trespassers();
        loop {
            match self.world.with(|w| w.picked.take().unwrap_or_else(|| w.pick())) {
                Pick::Task(task) => {
                    let payload = self.resume(task);
                    if let Some(payload) = payload.or_else(|| self.world.with(|w| w.broken.take())) {
                        if !failure::is_quiet() {
                            eprintln!("the panic above was in the simulated thread `{}`", self.name(task));
                        }
                        resume_unwind(payload);
                    }
                }
                Pick::Stop => return self.look_for_trespassers(),
                Pick::Spent => {
                    let report = self.world.with(|w| waits::livelock(w));
                    panic!("{report}");
                }
            }
        }
    }

    /// # Panics
    /// When an OS thread that is no part of this world has called into it.
    fn look_for_trespassers(&self) {
        if let Some(text) = self.world.trespasser() {
            panic!("{text}");
        }
    }

    fn name(&self, task: u32) -> String {
        self.world.with(|w| w.task_name(task).to_owned())
    }

    fn put(&self, task: u32, strand: Box<Strand>) {
        let mut strands = self.strands.borrow_mut();
        let index = task as usize;
        if let Some(place) = strands.get_mut(index) {
            *place = Some(strand);
            return;
        }
        strands.resize_with(index, || None);
        strands.push(Some(strand));
    }

    /// Lets a task go on to its next switch; the payload, if it ends by a panic.
    fn resume(&self, task: u32) -> Option<Box<dyn Any + Send>> {
        let kept = self.strands.borrow_mut().get_mut(task as usize).and_then(Option::take);
        let mut strand = kept.unwrap_or_else(|| Box::new(self.begin(task)));
        let outer = CURRENT.replace(Some((key(&self.world), task)));
        let ended = strand.resume();
        CURRENT.set(outer);
        match ended {
            None => {
                self.put(task, strand);
                None
            }
            Some(ended) => {
                strand.recycle();
                self.ended(task, ended)
            }
        }
    }

    fn begin(&self, task: u32) -> Strand {
        let (backend, name, body) = self.world.with(|w| {
            let name = match w.backend {
                Backend::Coroutines => String::new(),
                Backend::OsThreads => w.task_name(task).to_owned(),
            };
            (w.backend, name, w.tasks[task as usize].body.take())
        });
        let body = match body.expect("a task that has not ended has a strand or a body") {
            Unbegun::Body(body) => body,
            Unbegun::Thread(strand) => return Strand::Os(strand),
        };
        if backend == Backend::Coroutines {
            return Strand::Fiber(Fiber::new(body));
        }
        let world = Arc::clone(&self.world);
        Strand::new(backend, &self.world, &name, Box::new(move || as_task(world, task, body)))
    }

    fn ended(&self, task: u32, ended: Ended) -> Option<Box<dyn Any + Send>> {
        let payload = ended.err().filter(|payload| !payload.is::<Stopped>());
        self.world.with(|w| w.end(task, payload.is_some()));
        payload
    }

    /// Ends all tasks: unwinds those that have begun, drops the bodies of those that have not. What will not end
    /// (it waits in a destructor, or catches every unwinding) is left behind with its stack.
    pub(crate) fn stop(&self) {
        self.world.with(World::begin_stopping);
        self.driving.set(true);
        loop {
            let (live, moves) = self.world.with(|w| (w.live().to_vec(), w.stop_moves));
            let mut progress = false;
            for task in live {
                if self.unstarted(task) {
                    self.world.with(|w| w.end(task, false));
                    progress = true;
                    continue;
                }
                // A panic while unwinding has had its message; the first one is what the test fails by.
                drop(self.resume(task));
                progress |= self.world.with(|w| w.tasks[task as usize].done);
            }
            if !progress && self.world.with(|w| w.stop_moves) == moves {
                break;
            }
        }
        for (task, strand) in self.strands.take().into_iter().enumerate() {
            if let Some(strand) = strand {
                eprintln!(
                    "the simulated thread `{}` does not end when unwound; it is left behind",
                    self.name(task as u32)
                );
                std::mem::forget(strand);
            }
        }
        DRIVERS.with_borrow_mut(|all| all.retain(|(of, _)| *of != key(&self.world)));
    }

    /// Drops the body of a task that has not begun; false if it has.
    fn unstarted(&self, task: u32) -> bool {
        if self.world.with(|w| w.tasks[task as usize].op != Some(Op::Start)) {
            return false;
        }
        // Out of the lock: what a body owns may call back when it is dropped.
        if let Some(Unbegun::Thread(strand)) = self.world.with(|w| w.tasks[task as usize].body.take()) {
            strand.call_off();
        }
        drop(self.strands.borrow_mut().get_mut(task as usize).and_then(Option::take));
        true
    }
}

/// Ends a drive, also by a panic.
struct Over<'a>(&'a Driver);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.driving.set(false);
        self.0.world.with(|w| w.actor = TEST);
    }
}
