//! Threads that cannot be unwound: with frames of another language on their stacks, as an interpreter's have.
//!
//! They take part as all others do. Only the end differs: where Rust's threads are unwound, these are told that the
//! simulation is over ([`Waited::Over`]), and have to end by themselves.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use handwound_reactor::{SharedId, Time};

use crate::driver::{act_foreign, as_task, current};
use crate::family::Family;
use crate::reactor::date;
use crate::shared::Shared;
use crate::strand::{Entry, OsStrand, driver_here};
use crate::threads::{SimThreads, no_thread};
use crate::world::{Op, Unbegun};

/// How a wait of a [`Foreign`] thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waited {
    /// It was woken.
    Woken,
    /// The time has come.
    TimedOut,
    /// The simulation is over, and the wait will not end otherwise: the thread should end now.
    Over,
}

/// The place of one thread that cannot be unwound. Made and used on that thread; others may [`wake`](Foreign::wake) it.
/// The test itself may have one too: where it would have to wait, it drives the world.
pub struct Foreign {
    world: Arc<Shared>,
    gate: u32,
    /// None for the test itself.
    task: Option<u32>,
}

impl fmt::Debug for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Foreign({})", self.gate)
    }
}

/// An OS thread that will be one of a simulation's: to be moved onto it.
pub struct Newcomer {
    world: Arc<Shared>,
    entry: Entry,
    task: u32,
}

impl fmt::Debug for Newcomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Newcomer({})", self.task)
    }
}

impl Newcomer {
    /// Waits for its first turn, and runs `body` as a thread of the simulation. The OS thread should do nothing else that
    /// others could notice, before or after; `body` is not run where the simulation is over before.
    pub fn run(self, body: impl FnOnce()) {
        let Newcomer { world, entry, task } = self;
        entry.run(|| as_task(world, task, body));
    }
}

impl SimThreads {
    /// A thread of the simulation on an OS thread that the caller starts, right after this, and which need not be one of
    /// `std`'s. `join` waits for that OS thread's end; it is called when its [`run`](Newcomer::run) has returned.
    ///
    /// # Errors
    /// As [`Threads::spawn`](handwound_reactor::Threads::spawn).
    pub fn adopt(&self, name: &str, join: impl FnOnce() + Send + 'static) -> io::Result<Newcomer> {
        let world = self.world();
        let (strand, entry) = OsStrand::waiting(Arc::clone(world), driver_here(), Box::new(join));
        let task = act_foreign(world, Op::Spawn, true, None, |w| {
            let refused = w.stopping || w.start_fails(name);
            (!refused).then(|| w.spawn(name, Some(Unbegun::Thread(strand))))
        });
        let task = task.flatten().ok_or_else(no_thread)?;
        Ok(Newcomer { world: Arc::clone(world), entry, task })
    }

    /// A place for the thread that calls, from which it waits as one that cannot be unwound.
    pub fn foreign(&self) -> Foreign {
        let world = Arc::clone(self.world());
        let gate = world.with(|w| w.new_gate("a wait"));
        let task = current(&world);
        Foreign { world, gate, task }
    }
}

impl Foreign {
    /// Waits until it is woken, or until a time; `what` it waits for is what traces tell. At the end of the simulation an
    /// `essential` wait goes on as long as other threads do: one that others end on their way out.
    ///
    /// # Panics
    /// On the test's own thread: when nothing can end the wait.
    pub fn wait(&self, what: &str, until: Option<Time>, essential: bool) -> Waited {
        let gate = self.gate;
        self.world.with(|w| w.gates[gate as usize].name = w.trace.name(what));
        let op = Op::Park { gate, until };
        let woken = act_foreign(&self.world, op, essential, None, |w| w.take_token(gate));
        match woken {
            Some(true) => Waited::Woken,
            Some(false) => Waited::TimedOut,
            None => Waited::Over,
        }
    }

    /// What this thread waits for from now on, and who has that: for reports of who waits for whom. `None` where nobody
    /// can say; a thread that waits for what it has itself waits for somebody to take it away.
    pub fn awaits(&self, what: Option<(SharedId, Option<&Foreign>)>) {
        self.world.with(|w| {
            w.holds.gate_is_at(self.gate, what.map(|(shared, _)| shared));
            if let Some((shared, holder)) = what {
                let holder = holder.and_then(|holder| holder.task).filter(|&task| Some(task) != self.task);
                w.holds.hold(shared, holder);
            }
        });
    }

    /// This thread has something that others wait for, or lets go of it.
    pub fn holds(&self, shared: SharedId, held: bool) {
        self.world.with(|w| w.holds.hold(shared, self.task.filter(|_| held)));
    }

    /// Ends a wait of this thread, or the next one.
    pub fn wake(&self) {
        let done = act_foreign(&self.world, Op::Unpark(self.gate), true, None, |w| w.unpark(self.gate));
        debug_assert!(done.is_some(), "to wake needs no waiting");
    }

    /// Others may go on before this thread does, which is about to touch `shared`; traces tell of `place`.
    pub fn pass(&self, shared: SharedId, place: &str) {
        let _ = act_foreign(&self.world, Op::Visit(shared), true, Some(place), |w| w.visit(shared));
    }

    /// Others may go on before this thread touches `shared`.
    pub fn visit(&self, shared: SharedId) {
        let _ = act_foreign(&self.world, Op::Visit(shared), true, None, |w| w.visit(shared));
    }

    /// One of `options`, of [`Family::Preempt`]: when this thread is to be left in the middle next.
    pub fn draw(&self, options: u32, label: &'static str) -> u32 {
        self.world.with(|w| w.draw(Family::Preempt, options, label))
    }

    /// The time on the world's clock.
    pub fn now(&self) -> Time {
        self.world.with(|w| w.now)
    }

    /// The date on the world's calendar, as time since 1970.
    pub fn date(&self) -> Duration {
        self.world.with(date)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.world.try_with(|w| w.drop_gate(self.gate));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{Backend, Choices, Sim};
    use handwound_reactor::Threads;
    use std::sync::Mutex;

    /// What each of two threads saw: one waits for what never comes, the other for the first to let go of it.
    fn run(backend: Backend) -> Vec<String> {
        let sim = Sim::new(Choices::calm());
        sim.set_backend(backend);
        let (threads, seen) = (sim.threads(), Arc::new(Mutex::new(Vec::new())));
        let held: Arc<Mutex<Option<Arc<Foreign>>>> = Arc::default();
        for name in ["one", "two"] {
            let (inner, seen, held) = (threads.clone(), Arc::clone(&seen), Arc::clone(&held));
            threads
                .spawn(
                    name,
                    Box::new(move || {
                        let me = Arc::new(inner.foreign());
                        let waited = if name == "one" {
                            let waited = me.wait("what never comes", None, false);
                            if let Some(other) = held.lock().unwrap().take() {
                                other.wake();
                            }
                            waited
                        } else {
                            *held.lock().unwrap() = Some(Arc::clone(&me));
                            me.wait("the other", None, true)
                        };
                        seen.lock().unwrap().push(format!("{name}: {waited:?}"));
                    }),
                )
                .unwrap();
        }
        sim.settle();
        drop(sim);
        seen.lock().unwrap().clone()
    }

    #[test]
    fn at_the_end_waits_are_over_and_essential_ones_end_when_others_end_them() {
        for backend in [Backend::Coroutines, Backend::OsThreads] {
            assert_eq!(run(backend), ["one: Over", "two: Woken"], "{backend:?}");
        }
    }

    #[test]
    fn the_test_itself_drives_the_world_where_it_waits() {
        let sim = Sim::new(Choices::calm());
        let (threads, me) = (sim.threads(), Arc::new(sim.threads().foreign()));
        let other = Arc::clone(&me);
        let inner = threads.clone();
        threads
            .spawn(
                "other",
                Box::new(move || {
                    inner.sleep(Duration::from_secs(5));
                    other.wake();
                }),
            )
            .unwrap();
        assert_eq!(me.wait("the other", None, false), Waited::Woken);
        assert_eq!(sim.now().since_start(), Duration::from_secs(5));
        assert_eq!(me.wait("nothing", Some(sim.now() + Duration::from_secs(1)), false), Waited::TimedOut);
    }
}
