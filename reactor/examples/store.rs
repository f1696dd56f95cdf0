//! A protocol of one's own, from the first line to the tests: a store of keys and values that tells who watches a key
//! when it changes. `cargo run -p handwound-reactor --example store`, then `nc localhost 7009` and type `set tea green`,
//! `get tea`, `watch tea`, `quit`. Silence for 30 s ends the talk.
//!
//! Read it from the top: the protocol, which knows neither sockets nor clocks; `main`, which puts it on a real reactor;
//! and the tests, which put the same protocol into a simulation: `cargo test -p handwound-reactor --example store`.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use handwound_reactor::{Address, Closed, EventLoop, ListenOptions, Listening, MioReactor, Notifier, OsThreads};
use handwound_reactor::{Protocol, Transport};

// Every queue has a bound, and the bound has a name.
const LINE_BYTES_MAX: usize = 1000;
const KEYS_MAX: usize = 10_000;
const NEWS_MAX: usize = 100;
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// What all connections share. They are all on the loop's thread: no lock.
#[derive(Clone, Default)]
struct Store(Rc<RefCell<Shelves>>);

#[derive(Default)]
struct Shelves {
    values: BTreeMap<String, String>,
    watchers: Vec<Watcher>,
}

/// One connection's interest in one key.
struct Watcher {
    key: String,
    news: Rc<RefCell<News>>,
    /// Calls that connection's protocol, from the outside of it.
    notifier: Notifier,
}

/// Lines that a watcher has not been sent yet.
#[derive(Default)]
struct News {
    lines: VecDeque<String>,
    missed: bool,
}

impl Store {
    fn set(&self, key: &str, value: &str) -> Result<(), &'static str> {
        let mut shelves = self.0.borrow_mut();
        if shelves.values.len() >= KEYS_MAX && !shelves.values.contains_key(key) {
            return Err("the store is full");
        }
        shelves.values.insert(key.to_owned(), value.to_owned());
        for watcher in shelves.watchers.iter().filter(|watcher| watcher.key == key) {
            let mut news = watcher.news.borrow_mut();
            match news.lines.len() < NEWS_MAX {
                true => news.lines.push_back(format!("{key} is {value}\n")),
                false => news.missed = true,
            }
            watcher.notifier.notify();
        }
        Ok(())
    }

    fn listen(&self, event_loop: &EventLoop, at: &Address) -> std::io::Result<Listening> {
        let store = self.clone();
        event_loop.listen(at, &ListenOptions::default(), move |_peer| Talk::new(&store))
    }
}

/// One connection.
struct Talk {
    store: Store,
    /// The beginning of a line whose end has not come: bytes come cut anywhere.
    partial: Vec<u8>,
    news: Rc<RefCell<News>>,
}

impl Talk {
    fn new(store: &Store) -> Talk {
        Talk { store: store.clone(), partial: Vec::new(), news: Rc::default() }
    }

    fn obey(&self, line: &str, transport: &mut Transport) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match words[..] {
            ["set", key, value] => match self.store.set(key, value) {
                Ok(()) => "ok".to_owned(),
                Err(why) => format!("error: {why}"),
            },
            ["get", key] => self.store.0.borrow().values.get(key).cloned().unwrap_or_else(|| "nothing".to_owned()),
            ["watch", key] => {
                let watcher = Watcher { key: key.to_owned(), news: self.news.clone(), notifier: transport.notifier() };
                self.store.0.borrow_mut().watchers.push(watcher);
                "ok".to_owned()
            }
            ["quit"] => return transport.close(),
            _ => "error: set KEY VALUE, get KEY, watch KEY, or quit".to_owned(),
        };
        transport.write(format!("{answer}\n").as_bytes());
    }

    /// Sends news as long as the client takes them.
    fn tell(&self, transport: &mut Transport) {
        let mut news = self.news.borrow_mut();
        while !transport.is_full()
            && let Some(line) = news.lines.pop_front()
        {
            transport.write(line.as_bytes());
        }
        if news.missed {
            // It reads too slowly: better no news than news with a hole that nobody sees.
            transport.abort();
        }
    }
}

impl Protocol for Talk {
    fn connected(&mut self, transport: &mut Transport) {
        transport.set_timeout(SILENCE_MAX);
    }

    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        transport.set_timeout(SILENCE_MAX);
        for &byte in bytes {
            if transport.is_closing() {
                return;
            } else if byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
                self.obey(&line, transport);
            } else if self.partial.len() == LINE_BYTES_MAX {
                transport.write(b"error: the line is too long\n");
                return transport.close_lingering();
            } else {
                self.partial.push(byte);
            }
        }
    }

    fn notified(&mut self, transport: &mut Transport) {
        self.tell(transport);
    }

    fn drained(&mut self, transport: &mut Transport) {
        self.tell(transport);
    }

    fn timed_out(&mut self, transport: &mut Transport) {
        transport.write(b"error: silent for too long\n");
        transport.close();
    }

    fn closed(&mut self, _why: Closed) {
        let mut shelves = self.store.0.borrow_mut();
        shelves.watchers.retain(|watcher| !Rc::ptr_eq(&watcher.news, &self.news));
    }
}

fn main() -> std::io::Result<()> {
    let ground = MioReactor::new()?;
    let threads = OsThreads::beside(&ground);
    let event_loop = EventLoop::new(ground, threads);
    let at = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], 7009)));
    Store::default().listen(&event_loop, &at)?;
    println!("a store on {at}; stop with Ctrl-C");
    event_loop.run().map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use handwound_reactor::LoopConfig;
    use handwound_testkit::prelude::*;
    use handwound_testkit::{Client, Parting, for_every_cut};
    use std::io::{Read, Write};

    fn address() -> Address {
        Address::Tcp("127.0.0.1:7009".parse().unwrap())
    }

    /// The same as `main`, but for the ground: a simulated reactor, and the loop as a thread of the simulation.
    fn serve(sim: &Sim, config: LoopConfig) -> Store {
        let event_loop = EventLoop::with_config(sim.reactor("store"), sim.threads(), config);
        let store = Store::default();
        store.listen(&event_loop, &address()).unwrap();
        run(sim, event_loop);
        store
    }

    fn run(sim: &Sim, event_loop: EventLoop) {
        let running = event_loop.clone();
        sim.spawn("loop", move || {
            running.run().unwrap();
        });
        // A server is there to stay; `assert_clean` ends it first, and then nothing may be left.
        sim.at_end(move || event_loop.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap());
    }

    fn connect(sim: &Sim) -> Client {
        sim.connect(&address())
    }

    /// One talk, and then time: 30 s of silence take no time at all.
    #[test]
    fn a_talk_and_its_silence() {
        let sim = Sim::new(Choices::calm());
        serve(&sim, LoopConfig::default());
        let client = connect(&sim);
        client.send("set tea green\nget tea\nget coffee\nsing\n");
        sim.advance(29.secs());
        let usage = "error: set KEY VALUE, get KEY, watch KEY, or quit\n";
        assert_eq!(client.received_text(), format!("ok\ngreen\nnothing\n{usage}"));
        assert_eq!(client.closing(), Parting::Open);
        sim.advance(1.secs());
        assert!(client.received_text().ends_with("error: silent for too long\n"));
        assert_eq!(client.closing(), Parting::Finished);
        sim.assert_clean();
    }

    /// Split before every byte, and reset before every byte: 37 bytes, 75 runs.
    #[test]
    fn what_is_answered_does_not_depend_on_where_lines_are_cut() {
        let talk = "set tea green\nget tea\nwatch tea\nquit\n";
        let report = for_every_cut(talk, |sim, cut| {
            let store = serve(sim, LoopConfig::default());
            let client = connect(sim);
            cut.send(sim, &client);
            sim.settle();
            if !cut.resets() {
                assert_eq!(client.received_text(), "ok\ngreen\nok\n");
            }
            assert!(store.0.borrow().watchers.is_empty(), "somebody who has left is still told");
            sim.assert_clean();
        });
        assert_eq!(report.runs, 2 * talk.len() as u64 + 1);
    }

    /// Any network, any order, a watcher that reads three bytes at a time, a writer that dribbles, and somebody whose
    /// connection breaks anywhere: the watcher hears all, in order.
    #[test]
    fn a_slow_watcher_hears_of_every_change_in_order() {
        explore(seeds(300), |sim| {
            let store = serve(sim, LoopConfig::default());
            let watcher = connect(sim).read_in(3).every(20.ms());
            watcher.send("watch tea\n");
            // Only now, or the watch may come too late: networks are slow in some runs, and that is no defect.
            sim.advance(5.secs());
            let writer = connect(sim).write_in(1).every(10.ms());
            writer.send("set tea green\nset milk cold\nset tea black\n");
            connect(sim).send("watch tea\nset coffee hot\n").reset_at(sim.any(0..25));
            sim.advance(20.secs());
            assert_eq!(watcher.received_text(), "ok\ntea is green\ntea is black\n");
            sim.settle();
            assert!(store.0.borrow().watchers.is_empty());
            sim.assert_clean();
        });
    }

    /// Backpressure: who watches and does not read is let go, rather than remembered without bound.
    #[test]
    fn a_watcher_that_never_reads_is_let_go() {
        explore(seeds(30), |sim| {
            let mut config = LoopConfig::default();
            (config.output_high_bytes, config.output_low_bytes) = (1000, 500);
            let store = serve(sim, config);
            let watcher = connect(sim);
            watcher.window(0);
            watcher.send("watch tea\n");
            sim.advance(5.secs());
            let writer = connect(sim);
            let value = "x".repeat(900);
            for _ in 0..500 {
                writer.send(format!("set tea {value}\n"));
            }
            sim.advance(20.secs());
            watcher.read_eagerly();
            assert_eq!(watcher.closing(), Parting::Reset);
            assert_eq!(writer.received_text(), "ok\n".repeat(500), "and the writer has not noticed");
            assert!(store.0.borrow().watchers.is_empty());
        });
    }

    /// A defect to be found: this one does not unsubscribe whose connection is gone.
    struct Forgetful(Talk);

    impl Protocol for Forgetful {
        fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
            self.0.received(transport, bytes);
        }

        fn notified(&mut self, transport: &mut Transport) {
            self.0.notified(transport);
        }
    }

    #[test]
    fn a_store_that_remembers_the_departed_is_found_out() {
        let failure = Exploration::random(seeds(100)).check(|sim| {
            let event_loop = EventLoop::new(sim.reactor("store"), sim.threads());
            let store = Store::default();
            let shared = store.clone();
            let options = ListenOptions::default();
            event_loop.listen(&address(), &options, move |_peer| Forgetful(Talk::new(&shared))).unwrap();
            run(sim, event_loop);
            connect(sim).send("watch tea\n").reset_at(sim.any(0..12));
            sim.settle();
            assert!(store.0.borrow().watchers.is_empty(), "somebody who has left is still told");
        });
        let failure = failure.unwrap_err();
        assert!(failure.message.contains("still told"), "{failure}");
        // What it takes, and no more: `Display` shows the diagram of the shrunk run; this line repeats it.
        Exploration::replay(&failure.replay).check(|_| {}).unwrap_err();
    }

    /// And in earnest: the same protocol on real sockets, with a real client on a thread of its own.
    #[test]
    fn on_real_sockets() {
        let ground = MioReactor::new().unwrap();
        let threads = OsThreads::beside(&ground);
        let event_loop = EventLoop::new(ground, threads);
        let at = Address::Tcp("127.0.0.1:0".parse().unwrap());
        let listening = Store::default().listen(&event_loop, &at).unwrap();
        let Address::Tcp(at) = *listening.local_address() else { panic!("it listens on TCP") };
        let remote = event_loop.remote().clone();
        let client = std::thread::spawn(move || {
            let mut socket = std::net::TcpStream::connect(at).unwrap();
            socket.write_all(b"watch tea\nset tea green\nget tea\nquit\n").unwrap();
            let mut answers = String::new();
            socket.read_to_string(&mut answers).unwrap();
            remote.call_from_thread(|event_loop| event_loop.stop().unwrap()).unwrap();
            answers
        });
        event_loop.run().unwrap();
        let answers = client.join().unwrap();
        assert!(answers.starts_with("ok\nok\n") && answers.contains("green\n"), "{answers}");
    }
}
