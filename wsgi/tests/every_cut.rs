//! A conversation with the whole server, cut at every byte: what the client gets does not depend on the cuts, and a
//! reset anywhere leaves nothing behind.
#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use handwound_testkit::{Parting, for_every_cut};
use handwound_wsgi::Call;
use handwound_wsgi::testing::serve;

const CONVERSATION: &str = "\
    POST /first HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello\
    GET /second?q HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[test]
fn two_requests_on_one_connection_cut_at_every_byte() {
    let report = for_every_cut(CONVERSATION, |sim, cut| {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let paths = Arc::clone(&seen);
        let server = serve(sim, 2, move |call: &Call| {
            let path = call.request().path_info().to_vec();
            paths.lock().unwrap().push(path.clone());
            call.start_response("200 OK", &[])?;
            Ok(path)
        });
        let client = server.connect(sim);
        cut.send(sim, &client);
        sim.settle();
        let seen = seen.lock().unwrap().len();
        if cut.resets() {
            // The first request is complete after its body, the second with its last byte.
            let first = CONVERSATION.find("GET").unwrap();
            assert_eq!(seen, usize::from(cut.at() >= first) + usize::from(cut.at() == CONVERSATION.len()));
        } else {
            let bodies: Vec<_> = client.responses().iter().map(|response| response.body().clone()).collect();
            assert_eq!(bodies, [b"/first".to_vec(), b"/second".to_vec()]);
            assert_eq!((seen, client.closing()), (2, Parting::Finished));
        }
        assert!(sim.sockets().iter().all(|socket| socket.contains("listens")), "{:?}", sim.sockets());
    });
    assert_eq!(report.runs as usize, 2 * CONVERSATION.len() + 1);
}
