//! What goes back to the client: what a worker has made, and what is answered without one.

use std::io;

use bytes::Bytes;
use handwound_reactor::{JobRefused, Part, Transport};

use super::{CONNECTED, HttpProtocol, Stage, wall_clock};
use crate::application::Failure;
use crate::body::LIGHT_BYTES;
use crate::exchange::{Exchange, Outcome};
use crate::http1::{BodyFit, Connection, Finish, RequestHead};
use crate::resource::Response;
use crate::site::SiteConfig;

impl HttpProtocol {
    /// No worker takes it.
    pub(super) fn refuse(&mut self, exchange: &Exchange, refused: JobRefused, transport: &mut Transport) {
        if let Some(requests) = self.site.refusals.one_more(transport.now()) {
            tracing::error!(last = %exchange.request, requests, %refused, "requests answered with 503");
        }
        let head_is_out = exchange.head_is_out();
        if head_is_out {
            self.connection().fail();
        } else {
            self.respond(transport, &Response::text("503 Service Unavailable", "The server is overloaded.\n"));
        }
        self.log(&exchange.request, !head_is_out, transport.now());
    }

    /// A response from the reactor's thread.
    pub(super) fn respond(&mut self, transport: &mut Transport, response: &Response) {
        self.stage = Stage::Idle;
        let (wall, now) = (wall_clock(transport), transport.now());
        let connection = self.connection();
        connection.respond(&response.head, wall);
        let _fits = connection.send_body(&response.body);
        let _complete = connection.finish(now);
        // Now, so that the next of many pipelined requests sees how much waits.
        transport.write_vec(connection.output());
    }

    pub(super) fn respond_no_room(&mut self, head: &RequestHead, error: &io::Error, transport: &mut Transport) {
        tracing::error!(%error, "cannot keep a request's body in a temporary file");
        self.respond(transport, &Response::text("507 Insufficient Storage", "No room for the body.\n"));
        self.log_head(transport.peer(), head, true, transport.now());
    }

    /// Sends on what the worker has made, as far as the transport has room.
    pub(super) fn relay(&mut self, transport: &mut Transport) {
        let Stage::Running(exchange, _) = &self.stage else { return };
        if transport.is_full() {
            if self.is_oversize {
                self.is_oversize = !has_room_again(exchange, &self.site.config, transport);
            }
            return;
        }
        let mut taken = self.site.spares.taken();
        exchange.take(&mut taken);
        let connection = self.connection.as_mut().expect(CONNECTED);
        if connection.output().capacity() == 0 {
            *connection.output() = transport.spare_buffer();
        }
        if taken.close {
            // As if the server were stopping, for this connection alone.
            connection.begin_shutdown();
        }
        if let Some(head) = taken.head.take() {
            connection.respond(&head, wall_clock(transport));
            self.site.spares.keep_response_head(head);
            self.surplus_logged = false;
        }
        while let Some(part) = taken.body.pop() {
            let fit = match part {
                Part::Copied(bytes) => connection.send_body(bytes),
                Part::Kept(bytes) => send_shared(connection, transport, bytes),
            };
            if let BodyFit::Cut { surplus_bytes } = fit
                && !std::mem::replace(&mut self.surplus_logged, true)
            {
                tracing::error!(
                    request = %exchange.request, surplus_bytes,
                    "the application sent more than its Content-Length; the rest is not sent"
                );
            }
        }
        taken.body.clear();
        taken.body.shrink_to(LIGHT_BYTES);
        self.is_oversize = taken.is_oversize && !has_room_again(exchange, &self.site.config, transport);
        let (outcome, resume) = (taken.outcome.take(), taken.resume.take());
        let is_given_up = taken.is_given_up && outcome.is_none();
        drop(taken);
        if is_given_up {
            return transport.abort();
        }
        if let Some(resume) = resume {
            resume.resume(exchange, &transport.event_loop());
        }
        if let Some(outcome) = outcome {
            self.end_response(outcome, transport);
            // The next request may be there already.
            if self.connection().has_input() {
                return self.pump(transport);
            }
        }
        self.settle(transport);
    }

    fn end_response(&mut self, outcome: Outcome, transport: &mut Transport) {
        let Stage::Running(exchange, _) = std::mem::replace(&mut self.stage, Stage::Idle) else { return };
        match outcome {
            Outcome::Finished => {
                let finish = self.connection().finish(transport.now());
                self.log(&exchange.request, finish == Finish::Complete, transport.now());
                if let Finish::Short { missing_bytes } = finish {
                    tracing::error!(
                        request = %exchange.request, missing_bytes,
                        "the application sent less than its Content-Length; the connection is closed"
                    );
                }
                self.site.spares.keep_exchange(exchange);
            }
            Outcome::Failed(failure) => self.end_failed(&exchange, failure, transport),
            Outcome::Refused(refused) => self.refuse(&exchange, refused, transport),
        }
    }

    fn end_failed(&mut self, exchange: &Exchange, failure: Failure, transport: &mut Transport) {
        if let Failure::Application(text) = &failure {
            tracing::error!("{}: the application failed\n{text}", exchange.request);
        }
        if exchange.head_is_out() {
            self.connection().fail();
            self.log(&exchange.request, false, transport.now());
        } else {
            let text = "The application failed; its log says why.\n";
            self.respond(transport, &Response::text("500 Internal Server Error", text));
            self.log(&exchange.request, true, transport.now());
        }
    }
}

/// Lets a writer go on that waits behind an oversize piece, if no more is left than may wait in any case.
fn has_room_again(exchange: &Exchange, config: &SiteConfig, transport: &mut Transport) -> bool {
    let may_wait = config.response_bytes_max + transport.event_loop().config().output_high_bytes;
    let has_room = transport.pending_bytes() <= may_wait;
    match has_room {
        true => exchange.has_room_again(),
        false => transport.call_drained_at(may_wait),
    }
    has_room
}

/// Sends a piece of the body that is not copied.
fn send_shared(connection: &mut Connection, transport: &mut Transport, mut bytes: Bytes) -> BodyFit {
    let piece = connection.begin_piece(bytes.len());
    transport.write_vec(connection.output());
    bytes.truncate(piece.bytes);
    transport.write_shared(bytes);
    connection.output().extend_from_slice(piece.end);
    piece.fit
}
