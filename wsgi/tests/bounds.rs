//! What a server keeps for its clients has bounds, whatever clients and network do: at every moment, not only in the end.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use handwound_reactor::LoopConfig;
use handwound_testkit::strategies::{network, schedule, simulate};
use handwound_wsgi::testing::prelude::*;
use handwound_wsgi::{Call, Failure, SiteConfig};
use proptest::prelude::*;

const BODY_BYTES: usize = 2_000_000;

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    /// Bytes written by the application and not yet received are in the exchange, in the connection's output, or in the
    /// network: each has a bound that a configuration names.
    #[test]
    fn a_response_waits_within_its_bounds(
        network in network(),
        schedule in schedule(),
        response_bytes_max in 1_000..40_000_usize,
        piece in 1..30_000_usize,
        reads in (1..20_000_usize, 1..200_u32),
    ) {
        simulate(Choices::bytes(schedule), |sim| {
            sim.set_network(network);
            let written = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&written);
            let mut config = SiteConfig::default();
            config.response_bytes_max = response_bytes_max;
            let server = sim.serve(threads(1).with_config(config), move |call: &Call| -> Result<(), Failure> {
                call.start_response("200 OK", &[])?;
                while counter.load(Relaxed) < BODY_BYTES {
                    call.write(&vec![b'x'; piece])?;
                    counter.fetch_add(piece, Relaxed);
                }
                Ok(())
            });
            let client = sim.connect(&server).read_in(reads.0).every(reads.1.ms());
            client.window(1_000);
            client.send("GET / HTTP/1.0\r\nHost: x\r\n\r\n");
            let output = LoopConfig::default().output_high_bytes;
            // At either end of the line, and under way.
            let in_network = 3 * network.receive_buffer_bytes.max(1_000);
            // Once in the exchange, and once more in the output, which takes all of it while it is below its mark.
            let bound = 2 * response_bytes_max + output + in_network;
            prop_assert!(bound + piece < BODY_BYTES, "the test could not fail");
            for _ in 0..40 {
                sim.advance(50.ms());
                let waiting = written.load(Relaxed).saturating_sub(client.received().len());
                prop_assert!(waiting <= bound, "{} bytes wait; the bounds add up to {}", waiting, bound);
            }
            Ok(())
        })?;
    }

    /// Bytes that a client sends ahead, while its first request is still being answered, wait at the client: the server
    /// holds no more than one read and what the network has room for.
    #[test]
    fn requests_sent_ahead_wait_at_the_client(
        network in network(),
        schedule in schedule(),
        path_bytes in 1..2_000_usize,
    ) {
        simulate(Choices::bytes(schedule), |sim| {
            sim.set_network(network);
            let server = sim.serve(threads(1), |call| {
                sleep(3600.secs());
                ok(call.path())
            });
            let request = format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "p".repeat(path_bytes));
            let all = request.repeat(2_000_000 / request.len());
            let client = sim.connect(&server);
            client.send(&all);
            sim.advance(600.secs());
            if client.is_closed() {
                // The line was so slow that the first head came too late. A reset leaves nothing unsent, and may overtake
                // the answer.
                let answer = client.received_text();
                prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{}", answer);
                return Ok(());
            }
            let held = all.len() - client.unsent_bytes();
            let bound = LoopConfig::default().read_per_turn_bytes_max + 3 * network.receive_buffer_bytes;
            prop_assert!(held <= bound, "{} bytes have left the client; the bounds add up to {}", held, bound);
            Ok(())
        })?;
    }
}
