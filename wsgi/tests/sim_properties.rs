//! Any conversations, over any network, with any faults, in any order of threads: what must hold of every one.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use handwound_testkit::strategies::{conversation, fault_plan, network, schedule};
use handwound_testkit::{
    Break, Choices, Conversation, Fault, FaultPlan, Latency, NetworkOptions, Sim, Step, Trouble, explore, play, seeds,
};
use handwound_wsgi::testing::strategies::{Request, requests};
use handwound_wsgi::testing::{HttpClient, Server, serve};
use handwound_wsgi::{Call, Failure};
use proptest::prelude::*;

type Calls = Arc<Mutex<BTreeMap<String, u32>>>;

/// Answers with what was asked and how long the body was; each request is told apart by its target.
fn server(sim: &Sim, calls: &Calls) -> Server {
    let calls = calls.clone();
    serve(sim, 2, move |call: &Call| -> Result<String, Failure> {
        let target = String::from_utf8_lossy(call.request().raw_uri()).into_owned();
        *calls.lock().unwrap().entry(target.clone()).or_default() += 1;
        call.start_response("200 OK", &[])?;
        Ok(format!("{target} {}", call.body_len()))
    })
}

fn stop(sim: &Sim, server: &Server) {
    let asked = server.event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap());
    asked.unwrap();
    sim.settle();
    assert_eq!(server.event_loop.connections(), 0);
    sim.assert_clean();
}

/// A client's requests, made distinct, and how it sends them.
fn talk(number: usize) -> impl Strategy<Value = (Vec<Request>, Conversation)> {
    requests(1..4, 90).prop_flat_map(move |mut requests| {
        for (index, request) in requests.iter_mut().enumerate() {
            request.target = format!("/c{number}/r{index}");
        }
        let bytes: Vec<u8> = requests.iter().flat_map(Request::bytes).collect();
        conversation(Just(bytes), 5).prop_map(move |conversation| (requests.clone(), conversation))
    })
}

/// Responses come in the order of requests, and what is not the application's ends the connection.
fn check_answers(client: &HttpClient, requests: &[Request]) -> usize {
    let responses = client.whole_responses();
    assert!(responses.len() <= requests.len() + 1, "more answers than questions:\n{}", client.received_text());
    for (index, response) in responses.iter().enumerate() {
        if response.status() == 200 {
            let request = &requests[index];
            let expected = format!("{} {}", request.target, request.body_bytes().len());
            assert_eq!(String::from_utf8_lossy(response.body()), expected);
        } else {
            assert_eq!(index + 1, responses.len(), "nothing follows a refusal:\n{}", client.received_text());
        }
    }
    responses.len()
}

fn leaves(conversation: &Conversation) -> bool {
    conversation.steps.iter().any(|step| matches!(step, Step::Close | Step::Reset))
}

fn stalls(plan: &FaultPlan) -> bool {
    plan.faults().iter().any(|fault| matches!(fault, Fault::Break { how: Break::Stall, .. }))
}

fn no_time_passes(network: &NetworkOptions, conversation: &Conversation) -> bool {
    let waits = conversation.steps.iter().any(|step| matches!(step, Step::Wait(_)));
    network.latency == Latency::None && network.bytes_per_second.is_none() && !waits
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn every_request_is_answered_once_or_its_connection_ends(
        talks in (talk(0), talk(1), talk(2)),
        network in network(),
        plan in fault_plan(3, 400),
        schedule in schedule(),
    ) {
        let sim = Sim::new(Choices::bytes(schedule));
        sim.set_network(network);
        let calls = Calls::default();
        let server = server(&sim, &calls);
        sim.settle_now();
        sim.plan(&plan);
        let talks = [talks.0, talks.1, talks.2];
        let clients: Vec<HttpClient> = talks.iter().map(|_| sim.connect(&server)).collect();
        let parts: Vec<_> = clients.iter().zip(&talks).map(|(client, (_, talk))| (&**client, talk)).collect();
        play(&sim, &parts);
        sim.settle();
        let whole = plan.faults().is_empty() && talks.iter().all(|(_, talk)| no_time_passes(&network, talk));
        for (client, (requests, talk)) in clients.iter().zip(&talks) {
            let answers = check_answers(client, requests);
            if whole && !leaves(talk) {
                prop_assert!(answers == requests.len(), "nothing was in the way:\n{}", client.received_text());
            }
            prop_assert!(client.is_closed() || leaves(talk) || stalls(&plan), "a connection hangs: {:?}", sim.sockets());
        }
        for (target, count) in &*calls.lock().unwrap() {
            prop_assert!(*count == 1, "{} was called {} times", target, count);
        }
        stop(&sim, &server);
    }
}

#[test]
fn a_server_lives_through_all_families_of_trouble() {
    explore(seeds(400), |sim| {
        let calls = Calls::default();
        let server = server(sim, &calls);
        sim.settle_now();
        let mut trouble = Trouble::all();
        // The pool has its threads; that they may be refused has tests of its own.
        trouble.starts = false;
        sim.allow_trouble(trouble);
        let clients: Vec<HttpClient> = (0..6).map(|number| server.get(sim, &format!("/c{number}/r0"))).collect();
        sim.settle();
        for (number, client) in clients.iter().enumerate() {
            let responses = client.whole_responses();
            assert!(responses.len() <= 1);
            if let Some(response) = responses.first().filter(|response| response.status() == 200) {
                assert_eq!(response.body(), format!("/c{number}/r0 0").as_bytes());
            }
        }
        assert!(calls.lock().unwrap().values().all(|&count| count == 1));
        sim.set_trouble(Trouble::none());
        let last = server.get(sim, "/last");
        sim.settle_now();
        sim.advance(std::time::Duration::from_secs(5));
        assert_eq!(last.response().body(), b"/last 0", "it serves as if nothing had been");
        stop(sim, &server);
    });
}
