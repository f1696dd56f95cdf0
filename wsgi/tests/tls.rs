//! HTTPS in a simulation: handshakes, cuts, ends and what looks like them, bounds, both directions under load.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use handwound_testkit::{Break, Choices, Parting, Sim, Way, explore, seeds};
use handwound_wsgi::testing::Server;
use handwound_wsgi::testing::prelude::sleep;
use handwound_wsgi::testing::tls::{TlsClient, client_config, serve};
use handwound_wsgi::{Call, Failure, SiteConfig};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error, HandshakeKind, SupportedProtocolVersion};

const GET: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
const LAST: &str = "GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// Answers with what it is told of the connection.
fn told(call: &Call) -> Result<String, Failure> {
    call.start_response("200 OK", &[("Content-Type", "text/plain")])?;
    let request = call.request();
    let secured = request.secured().unwrap();
    Ok(format!("{} {} {} {}", request.url_scheme(), request.server_port(), secured.protocol(), secured.cipher()))
}

/// Sends the body back, in pieces.
fn echo(call: &Call) -> Result<(), Failure> {
    call.start_response("200 OK", &[])?;
    let mut input = call.body();
    let mut piece = vec![0; 10_000];
    loop {
        let bytes = std::io::Read::read(&mut input, &mut piece).unwrap();
        if bytes == 0 {
            return Ok(());
        }
        // Copied and not, in turns.
        match bytes % 2 {
            0 => call.write(&piece[..bytes])?,
            _ => call.write_shared(&piece[..bytes].to_vec().into())?,
        }
    }
}

fn told_server(sim: &Sim) -> Server {
    serve(sim, 2, told, SiteConfig::default())
}

fn client(sim: &Sim, server: &Server, version: &'static SupportedProtocolVersion) -> TlsClient {
    TlsClient::connect(sim, &server.address, &client_config(&[version]))
}

/// The body of the only response in `text`, which has a length.
#[track_caller]
fn body(text: &str) -> &str {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text:?}"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    assert!(head.contains(&format!("Content-Length: {}", body.len())), "{text}");
    body
}

/// RFC 9112 sections 9.7 and 9.8.
#[test]
fn requests_come_through_tls_however_the_network_cuts_it() {
    for (version, said) in [
        (&TLS13, "https 443 TLSv1.3 TLS_AES_256_GCM_SHA384"),
        (&TLS12, "https 443 TLSv1.2 ECDHE-ECDSA-AES256-GCM-SHA384"),
    ] {
        explore(seeds(60), |sim| {
            let server = told_server(sim);
            let client = client(sim, &server, version);
            client.send(GET);
            sim.settle_now();
            client.send(LAST);
            sim.settle();
            assert_eq!(client.failure(), None);
            let text = client.text();
            let second = text.rfind("HTTP/1.1").unwrap();
            assert_eq!((body(&text[..second]), body(&text[second..])), (said, said));
            assert!(client.has_ended(), "a last word comes before the end");
            assert_eq!(client.client.closing(), Parting::Finished);
            assert_eq!(client.connection(|tls| tls.alpn_protocol().map(<[u8]>::to_vec)), Some(b"http/1.1".to_vec()));
            client.client.close();
            sim.assert_clean();
        });
    }
}

#[test]
fn a_run_is_the_same_each_time_to_the_byte() {
    let run = || {
        let sim = Sim::new(Choices::seed(7));
        let server = told_server(&sim);
        let client = client(&sim, &server, &TLS13);
        client.send(LAST);
        sim.settle();
        (sim.trace_hash(), client.received(), client.client.transcript())
    };
    assert_eq!(run(), run());
}

#[test]
fn a_client_that_comes_back_resumes_its_session() {
    for version in [&TLS13, &TLS12] {
        let sim = Sim::new(Choices::calm());
        let server = told_server(&sim);
        let config = client_config(&[version]);
        let kind = || {
            let client = TlsClient::connect(&sim, &server.address, &config);
            client.send(LAST);
            sim.settle();
            assert!(body(&client.text()).starts_with("https"));
            client.connection(|tls| tls.handshake_kind().unwrap())
        };
        assert_eq!((kind(), kind()), (HandshakeKind::Full, HandshakeKind::Resumed), "{version:?}");
        sim.assert_clean();
    }
}

/// The client's bytes come one at a time, or break off anywhere: what has not come whole is not answered, and nothing
/// is left behind.
#[test]
fn every_byte_of_a_client_can_be_the_last() {
    for version in [&TLS13, &TLS12] {
        let mut whole = false;
        let mut at = 0;
        while !whole {
            for how in [Break::Cut, Break::Reset] {
                let sim = Sim::new(Choices::calm());
                let calls = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&calls);
                let counting = move |call: &Call| {
                    count.fetch_add(1, Ordering::Relaxed);
                    told(call)
                };
                let server = serve(&sim, 1, counting, SiteConfig::default());
                let raw = sim.connect(&server.address);
                raw.break_at(Way::ToServer, at, how);
                let client = TlsClient::over(raw, &client_config(&[version]));
                client.send(GET);
                sim.settle_now();
                whole = calls.load(Ordering::Relaxed) == 1;
                assert!(!whole || at > 200, "at {at}");
                client.client.close();
                sim.settle();
                assert_eq!((server.event_loop.connections(), calls.load(Ordering::Relaxed) <= 1), (0, true), "at {at}");
                sim.assert_clean();
            }
            at += 1;
            assert!(at < 3_000, "no request ever came through");
        }
    }
}

#[test]
fn a_client_that_writes_and_reads_byte_by_byte_is_served() {
    for version in [&TLS13, &TLS12] {
        for bytes in [1, 2, 3, 5, 100] {
            let sim = Sim::new(Choices::calm());
            let server = told_server(&sim);
            let raw = sim.connect(&server.address);
            raw.write_in(bytes).every(Duration::from_millis(1));
            raw.read_in(bytes).every(Duration::from_millis(1));
            let client = TlsClient::over(raw, &client_config(&[version]));
            client.send(LAST);
            sim.settle();
            assert!(body(&client.text()).starts_with("https 443 TLSv1."), "{bytes} bytes");
            assert!(client.has_ended());
            client.client.close();
            sim.assert_clean();
        }
    }
}

/// The way back may break at any byte too.
#[test]
fn a_server_whose_answer_is_lost_anywhere_leaves_nothing_behind() {
    for at in (0..2_600).step_by(7) {
        for how in [Break::Cut, Break::Reset] {
            let sim = Sim::new(Choices::calm());
            let server = told_server(&sim);
            let raw = sim.connect(&server.address);
            raw.break_at(Way::ToClient, at, how);
            let client = TlsClient::over(raw, &client_config(&[&TLS13]));
            client.send(LAST);
            sim.settle();
            client.client.close();
            sim.settle();
            assert_eq!(server.event_loop.connections(), 0, "at {at}");
            sim.assert_clean();
        }
    }
}

/// RFC 9112 section 9.8: an end without close_notify ends no request before its time.
#[test]
fn a_truncated_request_is_none_and_a_whole_one_is_answered() {
    for (sent, answered) in [
        (GET.to_owned(), true),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf".to_owned(), false),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n".to_owned(), false),
        (GET[..20].to_owned(), false),
    ] {
        for says_so in [false, true] {
            explore(seeds(20), |sim| {
                let calls = Arc::new(AtomicUsize::new(0));
                let count = Arc::clone(&calls);
                let counting = move |call: &Call| {
                    count.fetch_add(1, Ordering::Relaxed);
                    // Still at it when the client's end comes.
                    sleep(Duration::from_secs(10));
                    told(call)
                };
                let server = serve(sim, 1, counting, SiteConfig::default());
                let client = client(sim, &server, &TLS13);
                client.send(&sent);
                sim.advance(Duration::from_secs(5));
                if says_so {
                    client.end();
                }
                client.client.finish();
                sim.settle();
                assert_eq!(calls.load(Ordering::Relaxed), usize::from(answered), "{sent}");
                assert_eq!(client.text().contains("200 OK"), answered);
                sim.assert_clean();
            });
        }
    }
}

#[test]
fn a_handshake_that_never_ends_is_ended_in_time_and_costs_little() {
    // Nothing; the beginning of a record; a record that promises much; one byte now and then.
    let hello = [22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3];
    for (sent, drips) in [(&hello[..0], false), (&hello[..3], false), (&hello[..], false), (&hello[..], true)] {
        let sim = Sim::new(Choices::calm());
        let server = told_server(&sim);
        let client = sim.connect(&server.address);
        client.send(sent);
        for _ in 0..149 {
            sim.advance(Duration::from_millis(100));
            if drips {
                client.send([0]);
            }
            assert!(server.event_loop.memory().bytes() < 2_000, "{:?}", server.event_loop.memory());
        }
        assert_eq!((client.closing(), server.event_loop.connections()), (Parting::Open, 1));
        sim.advance(Duration::from_millis(200));
        assert_eq!((client.closing(), server.event_loop.connections()), (Parting::Reset, 0));
        sim.assert_clean();
    }
}

#[test]
fn a_handshake_that_is_too_large_is_refused() {
    let sim = Sim::new(Choices::calm());
    let server = told_server(&sim);
    let client = sim.connect(&server.address);
    // A message of 16 MiB, in records.
    client.send([&[22, 3, 1, 0x40, 0, 1, 0xff, 0xff, 0xff][..], &[0; 0x4000 - 4]].concat());
    for _ in 0..100 {
        client.send([&[22, 3, 1, 0x40, 0][..], &[0; 0x4000]].concat());
        sim.settle_now();
        assert!(server.event_loop.memory().bytes() < 300_000, "{:?}", server.event_loop.memory());
    }
    sim.settle();
    assert_eq!(server.event_loop.connections(), 0);
    assert!(client.is_closed());
}

#[test]
fn who_speaks_http_to_the_port_of_https_is_told_so_in_plain_text() {
    for sent in [GET, "G", "POST / HTTP/1.1\r\nContent-Length: 100000\r\n\r\n"] {
        explore(seeds(20), |sim| {
            let server = told_server(sim);
            let client = sim.connect(&server.address);
            client.send(sent);
            client.send(vec![b'x'; 100_000]);
            sim.settle();
            let text = client.received_text();
            assert!(text.starts_with("HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain"), "{text}");
            assert!(text.ends_with("This port speaks HTTPS; write https:// instead of http:// here.\n"), "{text}");
            assert_eq!(client.closing(), Parting::Finished, "and sees the end of it, not a reset");
            client.close();
            sim.assert_clean();
        });
    }
}

#[test]
fn what_is_no_tls_at_all_gets_an_alert() {
    for sent in [&[0xff; 400][..], &[22, 9, 9, 0, 1, 0], &[23, 3, 3, 0, 1, 0], &[0x80; 9]] {
        let sim = Sim::new(Choices::calm());
        let server = told_server(&sim);
        let client = sim.connect(&server.address);
        client.send(sent);
        sim.settle();
        let received = client.received();
        assert_eq!(received.first(), Some(&21), "{sent:?}: an alert, not {received:?}");
        assert_eq!(client.closing(), Parting::Finished, "{sent:?}");
        client.close();
        sim.assert_clean();
    }
}

#[test]
fn garbage_after_the_handshake_is_refused_with_an_alert_and_reaches_nobody() {
    for version in [&TLS13, &TLS12] {
        explore(seeds(20), |sim| {
            let server = told_server(sim);
            let client = client(sim, &server, version);
            client.send(GET);
            sim.advance(Duration::from_secs(5));
            client.client.send([&[23, 3, 3, 0, 30][..], &[5; 30]].concat());
            client.client.send(GET);
            sim.settle();
            assert_eq!(client.failure(), Some(Error::AlertReceived(AlertDescription::BadRecordMac)));
            assert_eq!(client.text().matches("200 OK").count(), 1);
            client.client.close();
            sim.assert_clean();
        });
    }
}

#[test]
fn large_bodies_go_both_ways() {
    for version in [&TLS13, &TLS12] {
        explore(seeds(4), |sim| {
            let server = serve(sim, 2, echo, SiteConfig::default());
            let client = client(sim, &server, version);
            let sent: Vec<u8> = (0..700_001_u32).map(|n| (n / 7) as u8).collect();
            client.send(format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", sent.len()));
            client.send(&sent);
            sim.settle();
            let received = client.received();
            let body = received.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
            assert!(received[body..] == sent, "{} bytes of {}", received.len() - body, sent.len());
            assert!(client.has_ended());
            client.client.close();
            sim.assert_clean();
        });
    }
}

#[test]
fn a_client_that_reads_nothing_holds_a_worker_and_little_memory_until_it_is_late() {
    let sim = Sim::new(Choices::calm());
    let endless = |call: &Call| -> Result<(), Failure> {
        call.start_response("200 OK", &[])?;
        loop {
            call.write(&[b'x'; 10_000])?;
        }
    };
    let config = SiteConfig::default();
    let bound = config.response_bytes_max;
    let server = serve(&sim, 1, endless, config);
    let raw = sim.connect(&server.address);
    let client = TlsClient::over(raw, &client_config(&[&TLS13]));
    sim.settle_now();
    client.client.window(5_000);
    client.send(GET);
    for _ in 0..59 {
        sim.advance(Duration::from_secs(1));
        let memory = server.event_loop.memory();
        assert!(memory.of("output").bytes <= 3 * bound && memory.of("filter").bytes <= 140_000, "{memory:?}");
    }
    assert_eq!(server.event_loop.connections(), 1);
    sim.advance(Duration::from_secs(3));
    assert_eq!((server.event_loop.connections(), server.pool.counts().busy), (0, 0));
}

#[test]
fn a_slow_client_that_takes_enough_is_not_late() {
    let sim = Sim::new(Choices::calm());
    let large = |call: &Call| -> Result<Vec<u8>, Failure> {
        call.start_response("200 OK", &[])?;
        Ok(vec![b'x'; 100_000])
    };
    let server = serve(&sim, 1, large, SiteConfig::default());
    let raw = sim.connect(&server.address);
    raw.window(2_000);
    let client = TlsClient::over(raw, &client_config(&[&TLS13]));
    client.send(LAST);
    // A little more than the least, for minutes: the pieces that a cipher makes are far larger.
    while !client.has_ended() && sim.now() < handwound_reactor::Time::ZERO + Duration::from_secs(1_000) {
        client.client.read(400);
        sim.advance(Duration::from_secs(1));
    }
    assert!(client.has_ended() && client.received().len() > 100_000, "{} bytes", client.received().len());
}

#[test]
fn a_stop_lets_what_is_under_way_end_with_a_last_word() {
    let sim = Sim::new(Choices::calm());
    let server = serve(
        &sim,
        1,
        |call: &Call| -> Result<&'static str, Failure> {
            sleep(Duration::from_secs(5));
            call.start_response("200 OK", &[])?;
            Ok("done")
        },
        SiteConfig::default(),
    );
    let (busy, idle) = (client(&sim, &server, &TLS13), client(&sim, &server, &TLS13));
    busy.send(GET);
    sim.advance(Duration::from_secs(1));
    server.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
    sim.advance(Duration::from_secs(1));
    assert!(idle.has_ended() && !busy.has_ended());
    sim.settle();
    assert!(busy.has_ended() && busy.text().ends_with("done"), "{}", busy.text());
    sim.assert_clean();
}
