//! One connection of a site: feeds the sans-IO connection, collects the body, finds the resource, hands the exchange to a
//! worker, and sends what comes back. No application code runs here.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use handwound_reactor::{Address, Closed, Expectation, Protocol, ThreadPool, Threads, Time, Transport, Watched};

use super::Shared;
use super::access::Begun;
use crate::Secured;
use crate::body::{RequestBody, Room};
use crate::exchange::{Exchange, Link, Marks};
use crate::http1::{Closing, Connection, Event, RequestHead};
use crate::request::Request;
use crate::resource::{Rendered, traverse};

mod answers;

const CONNECTED: &str = "made when connected, which comes first";

/// What a connection is at.
enum Stage {
    /// Between requests.
    Idle,
    /// A request's head is there, its body is coming.
    Receiving { head: Box<RequestHead>, body: RequestBody },
    /// A worker has it, or soon will.
    Running(Arc<Exchange>, #[expect(dead_code, reason = "held for its drop")] Expectation),
}

impl Stage {
    /// Takes a part of the body that is coming.
    fn push(&mut self, piece: &[u8], room: &Room) -> io::Result<()> {
        match self {
            Stage::Receiving { head, body } => body.push(piece, head.content_length(), room),
            _ => Ok(()),
        }
    }
}

/// Of the output that waits.
struct Progress {
    /// What had been written when the client had last taken enough, or all.
    written: u64,
    since: Time,
    /// What will have been written once it has taken all there is.
    queued: u64,
}

pub(super) struct HttpProtocol {
    site: Rc<Shared>,
    watched: Watched,
    connection: Option<Connection>,
    stage: Stage,
    /// A writer waits behind a piece that was longer than what may wait.
    is_oversize: bool,
    /// The response that is being sent was told that it is too long.
    surplus_logged: bool,
    progress: Option<Progress>,
    /// The last request, if there is a log.
    begun: Option<Begun>,
}

impl Protocol for HttpProtocol {
    fn connected(&mut self, transport: &mut Transport) {
        self.connection =
            Some(Connection::with_lines(self.site.http.clone(), self.site.lines.clone(), transport.now()));
        self.settle(transport);
    }

    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        let now = transport.now();
        if self.connection().wants_buffer() {
            self.connection().give_buffer(transport.spare_buffer());
        }
        let mut rest = bytes;
        let first = self.connection().first_part(rest);
        if first < rest.len() {
            self.connection().receive(&rest[..first], now);
            rest = &rest[first..];
            self.take_event(transport);
        }
        let body = self.connection().lend_body(&mut rest, now);
        self.take_body(body, transport);
        self.connection().receive(rest, now);
        self.pump(transport);
    }

    fn ended(&mut self, transport: &mut Transport) {
        self.connection().receive_end(transport.now());
        self.pump(transport);
        if let Stage::Running(exchange, _) = &self.stage
            && exchange.half_close()
        {
            transport.abort();
        }
    }

    /// HTTP itself says where a request ends, so nobody can pass a part of one for the whole (RFC 9112, section 9.8).
    fn truncated(&mut self, transport: &mut Transport) {
        self.ended(transport);
    }

    fn drained(&mut self, transport: &mut Transport) {
        match self.stage {
            Stage::Running(..) => self.relay(transport),
            // Requests may have been held back.
            _ => self.pump(transport),
        }
    }

    fn notified(&mut self, transport: &mut Transport) {
        self.relay(transport);
    }

    fn timed_out(&mut self, transport: &mut Transport) {
        if transport.pending_bytes() > 0 {
            let config = &self.site.config;
            let is_late = |progress: &Progress| {
                transport.now() - progress.since >= config.send_patience()
                    && transport.written_bytes() - progress.written < config.send_bytes_min()
            };
            if self.progress.as_ref().is_some_and(is_late) {
                tracing::debug!(peer = %transport.peer(), "a client took next to nothing of its response for too long");
                return transport.abort();
            }
        }
        self.connection().handle_deadline(transport.now());
        self.pump(transport);
    }

    fn stopping(&mut self, transport: &mut Transport) {
        match self.site.idle_when_stopping.get() {
            None => self.connection().begin_shutdown(),
            Some((idle, unused)) => {
                let now = transport.now();
                let connection = self.connection();
                connection.begin_shutdown_after(now + if connection.requests() == 0 { unused } else { idle });
            }
        }
        self.settle(transport);
    }

    fn memory(&self, note: &mut dyn FnMut(&'static str, usize)) {
        if let Some(connection) = &self.connection {
            connection.note_memory(note);
        }
        match &self.stage {
            Stage::Idle => {}
            Stage::Receiving { head, body } => {
                note("heads", head.bytes_kept());
                note("body", body.memory_bytes());
            }
            Stage::Running(exchange, _) => exchange.note_memory(note),
        }
    }

    fn closed(&mut self, reason: Closed) {
        if let Stage::Running(exchange, _) = std::mem::replace(&mut self.stage, Stage::Idle) {
            tracing::debug!(request = %exchange.request, %reason, "the client left before its response was complete");
            exchange.disconnect();
            // No clock but that of the threads is at hand here.
            self.log(&exchange.request, false, exchange.threads.now());
        }
    }
}

impl HttpProtocol {
    pub(super) fn new(site: Rc<Shared>, watched: Watched) -> HttpProtocol {
        HttpProtocol {
            site,
            watched,
            connection: None,
            stage: Stage::Idle,
            is_oversize: false,
            surplus_logged: false,
            progress: None,
            begun: None,
        }
    }

    fn connection(&mut self) -> &mut Connection {
        self.connection.as_mut().expect(CONNECTED)
    }

    /// Takes in what the connection has understood, as far as it goes now.
    fn pump(&mut self, transport: &mut Transport) {
        while !self.holds_back(transport) && self.take_event(transport) {}
        self.settle(transport);
    }

    /// Takes in the next thing that the connection has understood; whether there may be more.
    fn take_event(&mut self, transport: &mut Transport) -> bool {
        let Some(connection) = &mut self.connection else { return false };
        if connection.wants_head()
            && let Some(head) = self.site.spares.head()
        {
            connection.recycle(head);
        }
        match connection.poll_event(|| wall_clock(transport)) {
            None => return false,
            Some(Event::Head(head)) => {
                self.begun = Begun::now(&self.site, transport);
                self.stage = Stage::Receiving { head, body: RequestBody::default() };
            }
            Some(Event::Body(piece)) => {
                if let Err(error) = self.stage.push(piece, &self.site.room) {
                    self.refuse_body(&error, transport);
                }
            }
            Some(Event::End) => {
                self.dispatch(transport);
                // There is no event before its response.
                return !matches!(self.stage, Stage::Running(..));
            }
            Some(Event::Rejected(rejection)) => {
                tracing::info!(peer = %transport.peer(), %rejection, "request refused");
                let (head, begun) = match std::mem::replace(&mut self.stage, Stage::Idle) {
                    Stage::Receiving { head, .. } => (Some(head), self.begun),
                    _ => (None, Begun::now(&self.site, transport)),
                };
                let sent = self.connection().sent();
                self.site.log(begun, (transport.peer(), head.as_deref()), sent, true, transport.now());
            }
        }
        true
    }

    /// A part of a body that has not gone through the connection's input.
    fn take_body(&mut self, piece: &[u8], transport: &mut Transport) {
        if let Err(error) = self.stage.push(piece, &self.site.room) {
            self.refuse_body(&error, transport);
        }
    }

    fn refuse_body(&mut self, error: &io::Error, transport: &mut Transport) {
        if let Stage::Receiving { head, .. } = std::mem::replace(&mut self.stage, Stage::Idle) {
            self.respond_no_room(&head, error, transport);
        }
    }

    /// Who does not take the answers that there are gets no further request looked at.
    fn holds_back(&self, transport: &Transport) -> bool {
        matches!(self.stage, Stage::Idle) && transport.is_full() && !transport.is_closing()
    }

    /// A request is complete: finds who answers it.
    fn dispatch(&mut self, transport: &mut Transport) {
        let Stage::Receiving { head, mut body } = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        if let Err(error) = body.finish() {
            return self.respond_no_room(&head, &error, transport);
        }
        self.site.count_request();
        let now = transport.now();
        // What the last request left behind is used again, where nobody else holds it any more.
        let spares = &self.site.spares;
        let mut spare = spares.exchange();
        // A site may be served by several loops of a thread; what is left by another one goes.
        if let Some(reused) = spare.as_mut().and_then(Arc::get_mut)
            && transport.redirect(&mut reused.notifier)
        {
            let request = reused.reuse(spares.response_head());
            spares.keep_head(std::mem::replace(&mut request.head, head));
            request.come_from(transport.peer(), transport.local(), secured(transport));
            match traverse(&self.site.root, &mut reused.request) {
                Rendered::Now(response) => {
                    self.respond(transport, &response);
                    if let Some(spare) = &spare {
                        self.log(&spare.request, true, now);
                    }
                    if let Some(spare) = spare {
                        self.site.spares.keep_exchange(spare);
                    }
                }
                Rendered::Pooled { pool, application } => {
                    reused.set_body(body);
                    (reused.application, reused.submitted_at) = (application, now);
                    self.submit(&pool, spare.expect("reused is in it"), transport);
                }
            }
            return;
        }
        let mut request = Request::new(head, transport.peer().clone(), transport.local().clone());
        request.secured = secured(transport);
        match traverse(&self.site.root, &mut request) {
            Rendered::Now(response) => {
                self.respond(transport, &response);
                self.log(&request, true, now);
                self.site.spares.keep_head(request.head);
            }
            Rendered::Pooled { pool, application } => {
                let link = self.link(transport);
                let exchange = Exchange::new(request, body, application, now, link);
                self.submit(&pool, Arc::new(exchange), transport);
            }
        }
    }

    /// What joins an exchange to this connection.
    fn link(&self, transport: &Transport) -> Link {
        let high_bytes = self.site.config.response_bytes_max.max(1);
        let threads = transport.event_loop().threads();
        Link {
            notifier: transport.notifier(),
            gate: threads.gate("response writer"),
            threads,
            watched: self.watched.clone(),
            marks: Marks { high_bytes },
        }
    }

    fn submit(&mut self, pool: &ThreadPool, exchange: Arc<Exchange>, transport: &mut Transport) {
        let event_loop = transport.event_loop();
        match event_loop.submit(pool, exchange.clone()) {
            Ok(()) => {
                self.stage = Stage::Running(exchange, event_loop.expect_notification());
            }
            Err(refused) => self.refuse(&exchange, refused, transport),
        }
    }

    /// Tells the log how the response to `request` has ended.
    fn log(&mut self, request: &Request, is_complete: bool, now: Time) {
        self.log_head(&request.peer, &request.head, is_complete, now);
    }

    fn log_head(&mut self, peer: &Address, head: &RequestHead, is_complete: bool, now: Time) {
        if self.begun.is_some() {
            let sent = self.connection().sent();
            self.site.log(self.begun.take(), (peer, Some(head)), sent, is_complete, now);
        }
    }

    /// Puts the connection's wishes to the transport.
    fn settle(&mut self, transport: &mut Transport) {
        let Some(connection) = &mut self.connection else { return };
        if !connection.output().is_empty() {
            transport.write_vec(connection.output());
        }
        match connection.closing() {
            None => {}
            Some(Closing::AfterOutput { linger: true }) => transport.close_lingering(),
            Some(Closing::AfterOutput { linger: false }) => transport.close(),
            Some(Closing::Abort) => transport.abort(),
        }
        let wants_input = connection.wants_input();
        let holds_back = self.holds_back(transport);
        if wants_input && !holds_back {
            transport.resume_reading();
        } else {
            transport.pause_reading();
        }
        let sending = self.sending_deadline(transport);
        // What is held back is not late.
        let receiving = if holds_back { None } else { self.connection().deadline() };
        transport.set_deadline(earlier(sending, receiving));
        if matches!(self.stage, Stage::Idle) {
            let connection = self.connection();
            transport.keep_buffer(connection.spare_bytes(), || connection.take_buffer());
        }
    }

    /// While output waits, the client has to take enough of it, or all, in time. What it took fast before buys it nothing.
    fn sending_deadline(&mut self, transport: &Transport) -> Option<Time> {
        if transport.pending_bytes() == 0 {
            self.progress = None;
            return None;
        }
        let (written, now) = (transport.written_bytes(), transport.now());
        let enough = self.site.config.send_bytes_min();
        // All that waited may be gone without a word, and what waits now be new: see `Protocol::drained`.
        let goes_on = |last: &Progress| written < last.queued && written - last.written < enough;
        let last = self.progress.take().filter(goes_on);
        let progress = self.progress.insert(last.unwrap_or(Progress { written, since: now, queued: 0 }));
        progress.queued = written + transport.pending_bytes() as u64;
        Some(progress.since + self.site.config.send_patience())
    }
}

/// What the connection comes through, if it is HTTPS.
fn secured(transport: &Transport) -> Option<Arc<Secured>> {
    transport.session().and_then(|session| session.clone().downcast().ok())
}

/// The earlier of those there are.
fn earlier(one: Option<Time>, other: Option<Time>) -> Option<Time> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

pub(super) fn wall_clock(transport: &Transport) -> SystemTime {
    transport.event_loop().wall_clock()
}
