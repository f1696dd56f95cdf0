//! Two threads that end the same thing.

use std::sync::{Arc, Mutex};

use handwound_reactor::Threads;
use handwound_testkit::Sim;

/// Each looks first and then acts; planted, unless `atomic`: in two steps.
pub fn double_close(sim: &Sim, atomic: bool) {
    let closes = Arc::new(Mutex::new((false, 0)));
    let flag = sim.threads().shared("closed");
    for name in ["disconnect", "finish"] {
        let (threads, closes) = (sim.threads(), Arc::clone(&closes));
        sim.spawn(name, move || {
            threads.visit(flag);
            if closes.lock().unwrap().0 {
                return;
            }
            if !atomic {
                threads.visit(flag);
            }
            let mut closes = closes.lock().unwrap();
            *closes = (true, closes.1 + 1);
        });
    }
    sim.settle();
    assert_eq!(closes.lock().unwrap().1, 1, "closed once");
}
