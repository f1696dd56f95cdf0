//! Listeners: taking connections, as many as there is room for, and resting where the system has none to give.

use std::cell::RefCell;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::rc::Rc;

use super::Stage;
use crate::event_loop::Timer;
use crate::mailbox::panic_text;
use crate::timers::TimerId;
use crate::{Address, Close, EventLoop, Filters, ListenOptions, Protocol, Sock};

/// Makes the protocol of each accepted connection.
type Factory = Rc<RefCell<dyn FnMut(&Address) -> Box<dyn Protocol>>>;

pub(crate) struct Listener {
    pub(crate) sock: Sock,
    factory: Factory,
    filters: Option<Rc<Filters>>,
    pub(super) readable: bool,
    /// The system is out of descriptors; this timer will end it.
    resting: Option<TimerId>,
    pub(super) queued: bool,
}

/// A listening socket. Dropping it changes nothing; the loop closes it at its end.
#[derive(Debug)]
pub struct Listening {
    sock: Sock,
    local: Address,
}

impl Listening {
    /// Where it listens: with the port that the system chose.
    pub fn local_address(&self) -> &Address {
        &self.local
    }

    /// Takes no further connection.
    pub fn close(self, event_loop: &EventLoop) {
        event_loop.close_listener(self.sock);
    }
}

impl EventLoop {
    /// Listens, and gives each connection the protocol that `factory` makes for its peer.
    ///
    /// # Errors
    /// The system's: address in use, permission denied.
    ///
    /// # Panics
    /// When called from outside while the loop's own thread is inside a poll (only a simulation can do that); use
    /// [`call_from_thread`](EventLoop::call_from_thread) there.
    #[track_caller]
    pub fn listen<P: Protocol + 'static>(
        &self,
        at: &Address,
        options: &ListenOptions,
        factory: impl FnMut(&Address) -> P + 'static,
    ) -> io::Result<Listening> {
        self.listen_with(at, options, None, factory)
    }

    /// As [`listen`](EventLoop::listen), and gives each connection a filter, through which its protocol is served.
    ///
    /// # Errors
    /// As there.
    ///
    /// # Panics
    /// As there.
    #[track_caller]
    pub fn listen_filtered<P: Protocol + 'static>(
        &self,
        at: &Address,
        options: &ListenOptions,
        filters: Filters,
        factory: impl FnMut(&Address) -> P + 'static,
    ) -> io::Result<Listening> {
        self.listen_with(at, options, Some(Rc::new(filters)), factory)
    }

    #[track_caller]
    fn listen_with<P: Protocol + 'static>(
        &self,
        at: &Address,
        options: &ListenOptions,
        filters: Option<Rc<Filters>>,
        mut factory: impl FnMut(&Address) -> P + 'static,
    ) -> io::Result<Listening> {
        let place = Location::caller();
        let sock = {
            let mut reactor = self.0.reactor.borrow_mut();
            reactor.at_place(place);
            reactor.listen(at, options)?
        };
        self.serve_listener(
            sock,
            filters,
            Rc::new(RefCell::new(move |peer: &Address| -> Box<dyn Protocol> { Box::new(factory(peer)) })),
        )
    }

    fn serve_listener(&self, sock: Sock, filters: Option<Rc<Filters>>, factory: Factory) -> io::Result<Listening> {
        let local = self.0.reactor.borrow().local_address(sock)?;
        let listener = Listener { sock, factory, filters, readable: false, resting: None, queued: false };
        self.0.table.hold(sock, false);
        self.0.table.put_listener(Box::new(listener));
        self.0.table.listeners.borrow_mut().push(sock);
        Ok(Listening { sock, local })
    }

    pub(super) fn accept_some(&self, mut listener: Box<Listener>) {
        let sock = listener.sock;
        for _ in 0..self.0.config.accepts_per_turn_max {
            if !listener.readable || listener.resting.is_some() || self.connections() >= self.0.config.connections_max {
                break;
            }
            // By what it has accepted.
            if self.is_closed(sock) {
                return;
            }
            let accepted = self.0.reactor.borrow_mut().accept(sock);
            match accepted {
                Ok((accepted, peer)) => {
                    let factory = listener.factory.clone();
                    let filters = listener.filters.clone();
                    let make = || ((factory.borrow_mut())(&peer), filters.map(|filters| filters.one(self)));
                    match catch_unwind(AssertUnwindSafe(make)) {
                        Ok((protocol, filter)) => self.adopt(accepted, peer, protocol, filter, Stage::Open),
                        Err(payload) => {
                            tracing::error!(panic = panic_text(&*payload), %peer, "a protocol factory panicked");
                            self.0.reactor.borrow_mut().close(accepted, Close::Reset);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => listener.readable = false,
                // That client has left already; the next may be there.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let pause = self.0.config.accept_pause;
                    tracing::warn!(%error, ?pause, "cannot accept; serving what is open and trying again");
                    listener.resting = Some(self.timers().insert(self.now() + pause, Timer::Listener(sock)));
                }
            }
        }
        self.put_listener_back(listener);
    }

    fn is_closed(&self, listener: Sock) -> bool {
        !self.0.table.listeners.borrow().contains(&listener)
    }

    fn put_listener_back(&self, mut listener: Box<Listener>) {
        if self.is_closed(listener.sock) {
            return;
        }
        let room = self.connections() < self.0.config.connections_max;
        if listener.readable && listener.resting.is_none() && room && !std::mem::replace(&mut listener.queued, true) {
            self.0.table.ready.borrow_mut().push_back(listener.sock);
        }
        self.0.table.put_listener(listener);
    }

    pub(crate) fn resume_accepting(&self, sock: Sock) {
        if let Some(mut listener) = self.0.table.take_listener(sock) {
            listener.resting = None;
            self.put_listener_back(listener);
        }
    }

    fn close_listener(&self, sock: Sock) {
        if self.is_closed(sock) {
            return;
        }
        let table = &self.0.table;
        table.listeners.borrow_mut().retain(|listener| *listener != sock);
        // It may be in the hands of the loop, which then will not put it back.
        let listener = table.take_listener(sock);
        table.remove(sock);
        self.0.reactor.borrow_mut().close(sock, Close::Graceful);
        if let Some(rest) = listener.as_ref().and_then(|listener| listener.resting) {
            self.timers().cancel(rest);
        }
        drop(listener);
    }

    pub(crate) fn close_listeners(&self) {
        for sock in self.0.table.listeners() {
            self.close_listener(sock);
        }
    }

    pub(super) fn look_at_listener_again(&self, sock: Sock) {
        if let Some(listener) = self.0.table.take_listener(sock) {
            self.put_listener_back(listener);
        }
    }
}
