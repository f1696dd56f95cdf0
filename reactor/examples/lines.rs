//! A protocol of lines with timeouts and delayed answers: `cargo run -p handwound-reactor --example lines`, then
//! `nc localhost 7008` and type `add 2 3`, `later 5 tea`, `quit`. Silence for 30 s ends the connection.

use std::time::Duration;

use handwound_reactor::{EventLoop, ListenOptions, MioReactor, Notifier, OsThreads, Protocol, Transport};

const LINE_BYTES_MAX: usize = 1000;
const SILENCE_MAX: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Lines {
    partial: Vec<u8>,
    /// Answers whose time has come; the delayed calls put them here.
    due: std::rc::Rc<std::cell::RefCell<Vec<String>>>,
}

impl Protocol for Lines {
    fn connected(&mut self, transport: &mut Transport) {
        transport.write(b"hello\n");
        transport.set_timeout(SILENCE_MAX);
    }

    fn received(&mut self, transport: &mut Transport, bytes: &[u8]) {
        transport.set_timeout(SILENCE_MAX);
        for &byte in bytes {
            if byte == b'\n' {
                let line = String::from_utf8_lossy(&std::mem::take(&mut self.partial)).into_owned();
                self.obey(line.trim_end(), transport);
            } else if self.partial.len() == LINE_BYTES_MAX {
                transport.write(b"error: the line is too long\n");
                return transport.close_lingering();
            } else {
                self.partial.push(byte);
            }
        }
    }

    fn notified(&mut self, transport: &mut Transport) {
        for text in self.due.borrow_mut().drain(..) {
            transport.write(format!("{text}\n").as_bytes());
        }
    }

    fn timed_out(&mut self, transport: &mut Transport) {
        transport.write(b"error: silent for too long\n");
        transport.close();
    }
}

impl Lines {
    fn obey(&mut self, line: &str, transport: &mut Transport) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["add", a, b] => match (a.parse::<i32>(), b.parse::<i32>()) {
                (Ok(a), Ok(b)) => transport.write(format!("{}\n", i64::from(a) + i64::from(b)).as_bytes()),
                _ => transport.write(b"error: add takes two numbers\n"),
            },
            ["later", seconds, text] => match seconds.parse::<u8>() {
                Ok(seconds) => self.later(Duration::from_secs(seconds.into()), text, transport),
                Err(_) => transport.write(b"error: later takes seconds and a word\n"),
            },
            ["quit"] => transport.close(),
            _ => transport.write(b"error: add A B, later SECONDS WORD, or quit\n"),
        }
    }

    fn later(&self, after: Duration, text: &str, transport: &Transport) {
        let (due, notifier, text): (_, Notifier, _) = (self.due.clone(), transport.notifier(), text.to_owned());
        transport.event_loop().call_later(after, move |_| {
            due.borrow_mut().push(text);
            notifier.notify();
        });
    }
}

fn main() -> std::io::Result<()> {
    let ground = MioReactor::new()?;
    let threads = OsThreads::beside(&ground);
    let reactor = EventLoop::new(ground, threads);
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 7008)).into();
    reactor.listen(&at, &ListenOptions::default(), |_peer| Lines::default())?;
    println!("lines on {at}; stop with Ctrl-C");
    reactor.run().map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use handwound_reactor::Address;
    use handwound_testkit::{Choices, Client, Sim, explore, seeds};

    fn connect(sim: &Sim) -> Client {
        let at: Address = "127.0.0.1:7008".parse::<std::net::SocketAddr>().unwrap().into();
        let reactor = EventLoop::new(sim.reactor("lines"), sim.threads());
        reactor.listen(&at, &ListenOptions::default(), |_peer| Lines::default()).unwrap();
        sim.spawn("loop", move || {
            reactor.run().unwrap();
        });
        sim.connect(&at)
    }

    #[test]
    fn lines_are_obeyed_however_they_are_cut() {
        explore(seeds(200), |sim| {
            let client = connect(sim);
            client.send("add 2 3\nadd x 1\nsing\nquit\n");
            sim.settle();
            let answers = "hello\n5\nerror: add takes two numbers\nerror: add A B, later SECONDS WORD, or quit\n";
            assert_eq!(client.received_text(), answers);
            assert!(client.is_closed());
        });
    }

    #[test]
    fn a_delayed_answer_comes_when_it_is_due_and_silence_ends_the_talk() {
        let sim = Sim::new(Choices::calm());
        let client = connect(&sim);
        client.send("later 5 tea\n");
        sim.advance(Duration::from_millis(4_999));
        assert_eq!(client.take_received(), b"hello\n");
        sim.advance(Duration::from_millis(1));
        assert_eq!(client.take_received(), b"tea\n");
        sim.advance(Duration::from_secs(24));
        assert!(!client.is_closed());
        sim.advance(Duration::from_secs(1));
        assert_eq!(client.take_received(), b"error: silent for too long\n");
        assert!(client.is_closed());
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        explore(seeds(50), |sim| {
            let client = connect(sim);
            client.send(vec![b'x'; 100_000]);
            sim.settle();
            assert_eq!(client.received_text(), "hello\nerror: the line is too long\n");
        });
    }
}
