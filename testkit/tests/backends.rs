//! Coroutines and OS threads: the same choices make the same trace.
#![allow(clippy::unwrap_used)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use handwound_reactor::{Gate, SharedId, ThreadPool, Threads};
use handwound_testkit::{Backend, Choices, Sim, SimThreads};
use handwound_wsgi::testing::serve;
use handwound_wsgi::{Call, Failure};
use proptest::prelude::*;

/// What a thread of a generated program does.
#[derive(Clone, Debug)]
enum Act {
    Visit(usize),
    Unpark(usize),
    Wait(u64),
    Sleep(u64),
    Start(Vec<Act>),
}

fn act() -> impl Strategy<Value = Act> {
    let plain = prop_oneof![
        (0_usize..3).prop_map(Act::Visit),
        (0_usize..4).prop_map(Act::Unpark),
        (0_u64..50).prop_map(Act::Wait),
        (0_u64..50).prop_map(Act::Sleep),
    ];
    plain.prop_recursive(2, 12, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Act::Start))
}

#[derive(Clone)]
struct Stage {
    threads: SimThreads,
    things: Vec<SharedId>,
    /// One for each of the first threads; those that they start wait at gates of their own.
    gates: Vec<Gate>,
}

fn play(stage: &Stage, own: &Gate, acts: &[Act]) {
    for act in acts {
        match act {
            Act::Visit(thing) => stage.threads.visit(stage.things[*thing]),
            Act::Unpark(gate) => stage.gates[*gate].unpark(),
            Act::Wait(ms) => drop(own.park_until(stage.threads.now() + Duration::from_millis(*ms))),
            Act::Sleep(ms) => stage.threads.sleep(Duration::from_millis(*ms)),
            Act::Start(acts) => {
                let (stage, acts) = (stage.clone(), acts.clone());
                let threads = stage.threads.clone();
                let body = move || play(&stage, &stage.threads.gate("own"), &acts);
                threads.spawn("started", Box::new(body)).unwrap();
            }
        }
    }
}

fn hash_of(seed: u64, backend: Backend, program: &[Vec<Act>]) -> (u64, u64, String) {
    let sim = Sim::new(Choices::seed(seed));
    sim.set_backend(backend);
    let threads = sim.threads();
    let things = ["x", "y", "z"].map(|name| threads.shared(name)).to_vec();
    let gates = ["g0", "g1", "g2", "g3"].map(|name| threads.gate(name)).to_vec();
    let stage = Stage { threads: threads.clone(), things, gates };
    for (index, acts) in program.iter().enumerate() {
        let (stage, acts) = (stage.clone(), acts.clone());
        let own = stage.gates[index].clone();
        threads.spawn("first", Box::new(move || play(&stage, &own, &acts))).unwrap();
    }
    sim.settle();
    sim.assert_clean();
    (sim.trace_hash(), sim.steps(), sim.trace())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_trace_is_the_same_on_both(
        seed in any::<u64>(),
        program in proptest::collection::vec(proptest::collection::vec(act(), 0..8), 1..=4),
    ) {
        let coroutines = hash_of(seed, Backend::Coroutines, &program);
        prop_assert_eq!(&coroutines, &hash_of(seed, Backend::OsThreads, &program));
        prop_assert_eq!(coroutines, hash_of(seed, Backend::Coroutines, &program));
    }
}

fn server_run(seed: u64, backend: Backend) -> (u64, Vec<Vec<u8>>) {
    let sim = Sim::new(Choices::seed(seed));
    sim.set_backend(backend);
    let threads = sim.threads();
    let server = serve(&sim, 3, move |call: &Call| -> Result<Vec<u8>, Failure> {
        call.start_response("200 OK", &[])?;
        threads.sleep(Duration::from_millis(20));
        Ok(call.request().path_info().to_vec())
    });
    let clients: Vec<_> = (0..5).map(|index| server.get(&sim, &format!("/{index}"))).collect();
    sim.settle();
    let bodies = clients.iter().map(|client| client.response().into_body().into()).collect();
    (sim.trace_hash(), bodies)
}

#[test]
fn a_whole_server_does_the_same_on_both() {
    for seed in 0..40 {
        let (hash, bodies) = server_run(seed, Backend::Coroutines);
        assert_eq!(bodies, (0..5).map(|index| format!("/{index}").into_bytes()).collect::<Vec<_>>());
        assert_eq!((hash, bodies), server_run(seed, Backend::OsThreads), "seed {seed}");
    }
}

#[test]
fn an_os_thread_is_one_to_the_code_that_runs_on_it() {
    let sim = Sim::new(Choices::calm());
    sim.set_backend(Backend::OsThreads);
    let ids = Arc::new(Mutex::new(vec![std::thread::current().id()]));
    for _ in 0..2 {
        let (ids, threads) = (Arc::clone(&ids), sim.threads());
        let body = move || {
            threads.sleep(Duration::from_secs(1));
            ids.lock().unwrap().push(std::thread::current().id());
        };
        sim.threads().spawn("named", Box::new(body)).unwrap();
    }
    sim.settle();
    let ids = ids.lock().unwrap();
    assert_eq!(ids.len(), 3);
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
}

#[test]
fn a_panic_on_an_os_thread_fails_the_driver_with_its_own_payload() {
    let sim = Sim::new(Choices::calm());
    sim.set_backend(Backend::OsThreads);
    sim.threads().spawn("bad", Box::new(|| panic!("what went wrong"))).unwrap();
    let payload = catch_unwind(AssertUnwindSafe(|| sim.settle())).unwrap_err();
    assert_eq!(*payload.downcast::<&str>().unwrap(), "what went wrong");
    assert!(sim.trace().contains("bad        panics"));
}

struct Counts(Arc<AtomicU32>);

impl Drop for Counts {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn os_threads_of_a_world_dropped_mid_run_are_unwound_and_joined() {
    let drops = Arc::new(AtomicU32::new(0));
    let sim = Sim::new(Choices::calm());
    sim.set_backend(Backend::OsThreads);
    for name in ["parked", "sleeps"] {
        let (own, threads, gate) = (Counts(Arc::clone(&drops)), sim.threads(), sim.threads().gate(name));
        let body = move || {
            let _own = own;
            if name == "sleeps" {
                threads.sleep(Duration::from_secs(9));
            }
            gate.park();
        };
        sim.threads().spawn(name, Box::new(body)).unwrap();
    }
    sim.advance(Duration::from_secs(1));
    let (own, unstarted) = (Counts(Arc::clone(&drops)), sim.threads());
    unstarted.spawn("unstarted", Box::new(move || drop(own))).unwrap();
    drop(sim);
    assert_eq!(drops.load(Ordering::Relaxed), 3);
}

#[test]
fn a_pool_with_more_threads_than_the_machine_works_on_os_threads() {
    let sim = Sim::new(Choices::seed(5));
    sim.set_backend(Backend::OsThreads);
    let pool = ThreadPool::new(sim.threads(), 16..=16);
    pool.start().unwrap();
    let done = Arc::new(AtomicU32::new(0));
    for _ in 0..64 {
        let (done, threads) = (Arc::clone(&done), sim.threads());
        let job = move || {
            threads.sleep(Duration::from_secs(1));
            done.fetch_add(1, Ordering::Relaxed);
        };
        pool.submit(job).unwrap();
    }
    pool.stop(Duration::from_secs(60)).unwrap();
    assert_eq!((done.load(Ordering::Relaxed), sim.now().since_start()), (64, Duration::from_secs(4)));
}
