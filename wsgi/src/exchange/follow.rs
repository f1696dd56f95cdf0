//! What may follow when an application returns, other than the end: another application, or an open response.
//!
//! ```text
//!   Application::call returns ──► the response ends
//!          │ hand_over ─────────► another application, on the pool that it asked for
//!          │ go_on_with_room ───► another application, when the client has read on
//!          └ keep_open ─────────► nothing, until the OpenCall is finished, failed or dropped
//! ```
//!
//! Few calls ask for any of it. The others pay for it with one look at an empty place.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};

use handwound_reactor::{EventLoop, Job, JobRefused, ThreadPool, Worker};

use super::{Call, Exchange, OpenCall, Outcome, State};
use crate::application::{Application, Failure, WriteError};
use crate::request::Request;

/// Part of what the exchange's lock guards, once a call has asked for it.
#[derive(Default)]
pub(crate) struct Rare {
    pub(super) next: Option<Next>,
    pub(super) is_open: bool,
    /// Where the application ran that has returned with its response open.
    pub(super) home: Option<ThreadPool>,
    pub(super) for_room: Option<ForRoom>,
    on_disconnect: Vec<OnDisconnect>,
    /// What goes out with the response, whoever makes it.
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

type OnDisconnect = Box<dyn FnOnce() + Send>;

impl Rare {
    pub(super) fn has_on_disconnect(&self) -> bool {
        !self.on_disconnect.is_empty()
    }

    /// Whom to tell that the client has left, and what does not go on because of it.
    pub(super) fn take_for_disconnect(&mut self) -> (Vec<OnDisconnect>, Option<ForRoom>) {
        (std::mem::take(&mut self.on_disconnect), self.for_room.take())
    }

    /// What there is room for now.
    pub(super) fn take_for_room(&mut self) -> Option<ForRoom> {
        self.for_room.take()
    }
}

/// Who goes on with a call. It holds no exchange, since an exchange holds it.
pub(crate) struct Next {
    pub(super) on: On,
    application: Arc<dyn Application>,
    below: Option<Arc<Request>>,
}

/// Where it goes on.
pub(super) enum On {
    Pool(ThreadPool),
    /// On the pool where it is, once the client has taken some of what waits for it.
    Room,
}

/// What a call waits with for room; no thread waits for it.
pub(crate) struct ForRoom {
    pub(super) pool: ThreadPool,
    pub(super) next: Next,
}

impl Call {
    /// The same call as an application sees it that is reached by the first `prepath` segments of the whole path:
    /// they are its SCRIPT_NAME, the rest is its PATH_INFO. Clones the request's head.
    ///
    /// ```
    /// use handwound_wsgi::{Application, Call, Failure};
    ///
    /// /// Runs `application` one segment further down than it is itself.
    /// fn descend(call: &Call, application: &dyn Application) -> Result<(), Failure> {
    ///     let prepath = call.request().prepath().len();
    ///     application.call(&call.below(prepath + 1))
    /// }
    /// ```
    pub fn below(&self, prepath: usize) -> Call {
        let mut request = self.request().clone();
        request.split_path(prepath);
        Call { exchange: self.exchange.clone(), below: Some(Arc::new(request)) }
    }

    /// Once the application that runs now has returned, and has not failed, `application` goes on with this call, on a
    /// worker of `pool`: on this one, if it is one of them. The response is to be its work: nothing should have been
    /// begun. Of several the last one counts. Any thread; does nothing after the end of the call.
    ///
    /// A pool that refuses it, or is stopped and never runs it, makes the response a 503. It is not begun if the client
    /// has left by then.
    pub fn hand_over(&self, pool: &ThreadPool, application: Arc<dyn Application>) {
        self.set_next(On::Pool(pool.clone()), application);
    }

    /// Once the application that runs now has returned, and has not failed, `application` goes on with this call when
    /// there is [room](Call::room_bytes) for half of what may wait at least: at once, or when the client has read on. No
    /// worker waits for that, so who sends much to slow readers, and can stop in between, holds up nobody. Any thread; does nothing after
    /// the end of the call.
    ///
    /// It runs on the same pool, but [without its hook](handwound_reactor::Worker::unhooked): it holds no interpreter's
    /// lock. If the client leaves before, it is dropped. If the pool takes no more jobs, the response is cut.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use handwound_wsgi::{Application, Call, Failure};
    ///
    /// /// A million lines, at the client's pace.
    /// struct Lines(u32);
    ///
    /// impl Application for Lines {
    ///     fn call(&self, call: &Call) -> Result<(), Failure> {
    ///         if !call.is_started() {
    ///             call.start_response("200 OK", &[])?;
    ///         }
    ///         for line in self.0..1_000_000 {
    ///             if call.room_bytes()? < 100 {
    ///                 call.go_on_with_room(Arc::new(Lines(line)));
    ///                 break;
    ///             }
    ///             call.write(format!("line {line}\n").as_bytes())?;
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    pub fn go_on_with_room(&self, application: Arc<dyn Application>) {
        self.set_next(On::Room, application);
    }

    /// How many bytes can be written now without waiting.
    ///
    /// # Errors
    /// As [`Call::write`].
    pub fn room_bytes(&self) -> Result<usize, WriteError> {
        self.exchange.watched.visit();
        let state = self.exchange.state();
        state.check_writable()?;
        Ok(if state.writers.is_busy() { 0 } else { self.exchange.room(&state) })
    }

    fn set_next(&self, on: On, application: Arc<dyn Application>) {
        let next = Next { on, application, below: self.below.clone() };
        let last = self.ask(|rare| rare.next.replace(next));
        drop(last);
    }

    /// The response stays open when the application returns, until the result is finished, failed or dropped. If the
    /// application fails, the response fails nevertheless. Any thread.
    ///
    /// Asked for several times, the response ends with what is finished, failed or dropped first.
    ///
    /// ```
    /// use handwound_wsgi::{Call, Failure};
    ///
    /// /// Answers from a thread of its own; the worker is free meanwhile.
    /// fn application(call: &Call) -> Result<(), Failure> {
    ///     let open = call.keep_open();
    ///     std::thread::spawn(move || {
    ///         let sent = open.start_response("200 OK", &[]).map_err(Failure::from);
    ///         match sent.and_then(|()| Ok(open.send_whole(b"later")?)) {
    ///             Ok(()) => open.finish(),
    ///             Err(failure) => open.fail(failure),
    ///         }
    ///     });
    ///     Ok(())
    /// }
    /// # fn is_one(_: impl handwound_wsgi::Application) {}
    /// # is_one(application);
    /// ```
    pub fn keep_open(&self) -> OpenCall {
        self.ask(|rare| rare.is_open = true);
        OpenCall::new(self.clone())
    }

    /// Has `tell` called when the client leaves before the response has ended; at once and on this thread if it has
    /// left. Runs on the reactor's thread otherwise: it must not block, and must not run application code, but post to
    /// whoever does. Dropped unused at the end of the response. Any thread.
    ///
    /// For whoever asks, a client that has ended its side of the connection has left, and the connection is closed: most
    /// that close one show no more than that.
    pub fn on_disconnect(&self, tell: Box<dyn FnOnce() + Send>) {
        self.exchange.watched.visit();
        let mut state = self.exchange.state();
        if !state.ended && !state.disconnected {
            state.rare.get_or_insert_default().on_disconnect.push(tell);
            let notify = state.half_closed && !std::mem::replace(&mut state.notified, true);
            drop(state);
            if notify {
                self.exchange.notifier.notify();
            }
            return;
        }
        let has_left = state.disconnected && !state.ended;
        drop(state);
        if has_left {
            tell();
        }
    }

    /// Notes a wish for what follows, unless nothing can.
    pub(super) fn ask<V: Default>(&self, wish: impl FnOnce(&mut Rare) -> V) -> V {
        self.exchange.watched.visit();
        let mut state = self.exchange.state();
        match state.ended {
            true => V::default(),
            false => wish(state.rare.get_or_insert_default()),
        }
    }

    /// Ends the response like this, unless it has ended. Any thread.
    fn conclude(&self, outcome: Outcome) {
        let exchange = &*self.exchange;
        exchange.watched.visit();
        let state = exchange.state();
        if !state.ended {
            self.conclude_in(state, outcome);
        }
    }

    pub(super) fn conclude_in(&self, state: MutexGuard<'_, State>, outcome: Outcome) {
        let exchange = &*self.exchange;
        match exchange.conclude(state, outcome) {
            true => exchange.notifier.notify(),
            // An entry from an earlier write is still there, but perhaps the loop was left dozing.
            false => exchange.notifier.remote().flush(),
        }
    }
}

/// Runs an application. A panic is a failure.
#[inline]
pub(super) fn run(application: &dyn Application, call: &Call) -> Option<Failure> {
    match catch_unwind(AssertUnwindSafe(|| application.call(call))) {
        Ok(returned) => returned.err(),
        Err(payload) => Some(Failure::of_panic(&*payload)),
    }
}

/// Runs a callback of the application's. A panic of it is logged and goes no further.
pub(super) fn guarded(callback: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(callback)) {
        tracing::error!("in a callback of an application: {}", Failure::of_panic(&*payload));
    }
}

/// The application of a call that has asked for something has returned, or failed. What goes on with it now, on this
/// worker.
#[cold]
pub(super) fn returned(
    call: &Call,
    mut state: MutexGuard<'_, State>,
    failure: Option<Failure>,
    worker: &mut Worker<'_>,
) -> Option<Next> {
    let exchange = &*call.exchange;
    if state.ended {
        drop(state);
        if let Some(Failure::Application(text)) = failure {
            tracing::error!("{}: the application failed after its response was finished\n{text}", exchange.request);
        }
        exchange.tell_from_worker(false, worker);
        return None;
    }
    if let Some(failure) = failure {
        let notify = exchange.conclude(state, Outcome::Failed(failure));
        exchange.tell_from_worker(notify, worker);
        return None;
    }
    let rare = state.rare.as_mut().expect("it has asked for something");
    let (next, is_open) = (rare.next.take(), rare.is_open);
    match next {
        Some(next @ Next { on: On::Room, .. }) => {
            if state.disconnected {
                let _nobody = exchange.conclude(state, Outcome::Failed(Failure::ClientDisconnected));
                return None;
            }
            if exchange.has_room(&state) {
                return Some(next);
            }
            // The reactor is told of what waits, or knows, and takes this with it.
            let for_room = ForRoom { pool: worker.pool(), next };
            state.rare.get_or_insert_default().for_room = Some(for_room);
            let notify = state.note_waiting();
            drop(state);
            exchange.tell_from_worker(notify, worker);
        }
        Some(Next { on: On::Pool(pool), application, below }) => {
            let next = Next { on: On::Pool(pool.clone()), application, below };
            if worker.is_of(&pool) {
                return Some(next);
            }
            drop(state);
            next.queue(call, &pool);
            exchange.tell_from_worker(false, worker);
        }
        None if is_open => {
            rare.home = Some(worker.pool());
            let notify = state.note_waiting();
            drop(state);
            exchange.tell_from_worker(notify, worker);
        }
        None => {
            let notify = exchange.conclude(state, Outcome::Finished);
            exchange.tell_from_worker(notify, worker);
        }
    }
    None
}

/// Runs what was handed over to this worker's own pool, and what that hands over.
pub(super) fn go_on(mut call: Call, mut next: Next, worker: &mut Worker<'_>) {
    loop {
        let without_hook = next.is_without_hook();
        call.below = next.below;
        let failure = run_on(&*next.application, &call, without_hook, worker);
        match call.returned(failure, worker) {
            Some(another) => next = another,
            None => return,
        }
    }
}

/// [`run`], perhaps without the worker's hook.
fn run_on(application: &dyn Application, call: &Call, without_hook: bool, worker: &Worker<'_>) -> Option<Failure> {
    match without_hook {
        true => worker.unhooked(|| run(application, call)),
        false => run(application, call),
    }
}

impl Next {
    pub(super) fn queue(self, call: &Call, pool: &ThreadPool) {
        let job = self.into_job(call);
        match pool.queue_job(job.clone()) {
            Ok(()) => pool.wake_for_backlog(),
            Err(refused) => job.refuse(refused),
        }
    }

    fn is_without_hook(&self) -> bool {
        matches!(self.on, On::Room)
    }

    fn into_job(self, call: &Call) -> Arc<HandedOver> {
        let without_hook = self.is_without_hook();
        let call = Call { exchange: call.exchange.clone(), below: self.below };
        Arc::new(HandedOver { call, application: self.application, without_hook, is_begun: AtomicBool::new(false) })
    }
}

impl ForRoom {
    /// There is room for more of what `exchange` sends. Runs on the reactor's thread.
    pub(crate) fn resume(self, exchange: &Arc<Exchange>, event_loop: &EventLoop) {
        let job = self.next.into_job(&Call::new(exchange.clone()));
        if let Err(refused) = event_loop.submit(&self.pool, job.clone()) {
            job.refuse(refused);
        }
    }
}

/// A call in the queue of the pool that it was handed over to.
struct HandedOver {
    call: Call,
    application: Arc<dyn Application>,
    without_hook: bool,
    is_begun: AtomicBool,
}

impl HandedOver {
    fn refuse(&self, refused: JobRefused) {
        self.is_begun.store(true, Ordering::Relaxed);
        self.call.conclude(Outcome::Refused(refused));
    }
}

impl Job for HandedOver {
    fn run(self: Arc<Self>, worker: &mut Worker<'_>) {
        self.is_begun.store(true, Ordering::Relaxed);
        if self.call.is_disconnected() {
            return self.call.conclude(Outcome::Failed(Failure::ClientDisconnected));
        }
        let _inline = self.call.exchange.on_loops_thread(worker);
        let failure = run_on(&*self.application, &self.call, self.without_hook, worker);
        if let Some(next) = self.call.returned(failure, worker) {
            go_on(self.call.clone(), next, worker);
        }
    }

    fn describe(&self) -> String {
        self.call.request().to_string()
    }
}

/// A pool that was stopped before it started drops what it has.
impl Drop for HandedOver {
    fn drop(&mut self) {
        if !*self.is_begun.get_mut() {
            self.call.conclude(Outcome::Refused(JobRefused::Stopped));
        }
    }
}
