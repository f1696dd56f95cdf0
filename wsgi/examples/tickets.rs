//! A Rust WSGI application with shared state and a call that blocks: a box office. `cargo run -p handwound-wsgi
//! --example tickets`, then `curl -X POST localhost:8080/buy`.
//!
//! The application takes its threads as an argument, and with them locks and the clock. So the tests below run the very
//! same code in a simulation: in any order, over any network, in no time. `cargo test -p handwound-wsgi --example tickets`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use handwound_reactor::sync::Mutex;
use handwound_reactor::{AnyThreads, EventLoop, ListenOptions, MioReactor, OsThreads, Threads};
use handwound_wsgi::{Application, Call, Failure, Site, WsgiResource};

/// How long the bank takes.
const BANK: Duration = Duration::from_millis(300);

struct Office {
    threads: AnyThreads,
    stock: Mutex<Stock>,
}

struct Stock {
    left: u32,
    sold: u32,
}

impl Office {
    fn new(threads: impl Threads, tickets: u32) -> Arc<Office> {
        // A lock that a simulation sees; on real threads it is a lock as any other.
        let stock = Mutex::new(&threads, "stock", Stock { left: tickets, sold: 0 });
        Arc::new(Office { threads: AnyThreads::new(threads), stock })
    }

    /// Sells one: takes it aside, charges the customer, and hands it over. No lock is held while the bank thinks.
    fn buy(&self) -> Option<u32> {
        {
            let mut stock = self.stock.lock();
            stock.left = stock.left.checked_sub(1)?;
        }
        self.charge();
        let mut stock = self.stock.lock();
        stock.sold += 1;
        Some(stock.sold)
    }

    /// The bank, which blocks.
    fn charge(&self) {
        self.threads.sleep(BANK);
    }
}

fn application(office: Arc<Office>, buy: fn(&Office) -> Option<u32>) -> impl Application {
    handwound_wsgi::application(move |call: &Call| -> Result<String, Failure> {
        let (status, body) = match (call.request().method(), &call.path()[..]) {
            (b"POST", "/buy") => match buy(&office) {
                Some(number) => ("200 OK", format!("ticket {number}")),
                None => ("409 Conflict", "sold out".to_owned()),
            },
            (b"GET", "/left") => ("200 OK", office.stock.lock().left.to_string()),
            _ => ("404 Not Found", "POST /buy or GET /left".to_owned()),
        };
        call.start_response(status, &[("Content-Type", "text/plain")])?;
        Ok(body)
    })
}

fn main() -> std::io::Result<()> {
    let ground = MioReactor::new()?;
    let threads = OsThreads::beside(&ground);
    let event_loop = EventLoop::new(ground, threads);
    let application = application(Office::new(threads, 100), Office::buy);
    let resource = WsgiResource::new(&event_loop, event_loop.thread_pool(), application);
    let at = SocketAddr::from(([127, 0, 0, 1], 8080)).into();
    Site::new(resource).listen(&event_loop, &at, &ListenOptions::default())?;
    println!("a box office on {at}; stop with Ctrl-C");
    event_loop.run().map(|_| ())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use handwound_testkit::play;
    use handwound_testkit::strategies::{conversation, fault_plan, network, schedule, simulate};
    use handwound_wsgi::testing::prelude::*;
    use handwound_wsgi::testing::serve;
    use proptest::prelude::*;

    const BUY: &str = "POST /buy HTTP/1.1\r\nHost: x\r\n\r\n";

    /// A defect to be found: looks first, and takes after the bank has thought.
    fn buy_carelessly(office: &Office) -> Option<u32> {
        if office.stock.lock().left == 0 {
            return None;
        }
        office.charge();
        let mut stock = office.stock.lock();
        stock.left = stock.left.saturating_sub(1);
        stock.sold += 1;
        Some(stock.sold)
    }

    fn open(sim: &Sim, workers: usize, tickets: u32, buy: fn(&Office) -> Option<u32>) -> (Server, Arc<Office>) {
        let office = Office::new(sim.threads(), tickets);
        (serve(sim, workers, application(office.clone(), buy)), office)
    }

    fn counts(office: &Office) -> (u32, u32) {
        let stock = office.stock.lock();
        (stock.left, stock.sold)
    }

    /// One after the other, on one connection. The transcript is what a person would write down.
    #[test]
    fn the_last_ticket_is_sold_once() {
        let sim = Sim::new(Choices::calm());
        let (server, _) = open(&sim, 2, 1, Office::buy);
        let client = server.connect(&sim);
        client.send(BUY);
        client.send(BUY);
        sim.settle();
        let answers: Vec<_> = client.responses().into_iter().map(|it| (it.status().as_u16(), it.into_body())).collect();
        assert_eq!(answers, [(200, "ticket 1".into()), (409, "sold out".into())]);
        sim.assert_clean();
    }

    /// Any order and any network; one buyer dribbles, one breaks off wherever it likes.
    #[test]
    fn no_more_is_sold_than_there_is() {
        explore(seeds(300), |sim| {
            let (server, office) = open(sim, 3, 2, Office::buy);
            let slow = sim.connect(&server).write_in(5.bytes()).every(30.ms());
            slow.send(BUY);
            sim.connect(&server).send(BUY).reset_at(sim.any(0..=BUY.len()));
            let others = [sim.connect(&server), sim.connect(&server)];
            others.iter().for_each(|buyer| drop(buyer.send(BUY)));
            sim.settle();
            assert_eq!(counts(&office), (0, 2));
            let bought = others.iter().filter(|buyer| buyer.response().status() == 200).count();
            assert!(bought <= 2);
            sim.assert_clean();
        });
    }

    /// Two buyers and one ticket, in every order of loop and workers: a proof, as far as the simulation can see.
    #[test]
    fn one_ticket_and_two_buyers_in_every_order() {
        let report = explore_all(All::default(), |sim| race(sim, Office::buy));
        assert!(report.runs > 1, "{report:?}");
    }

    fn race(sim: &Sim, buy: fn(&Office) -> Option<u32>) {
        let office = Office::new(sim.threads(), 1);
        // What every run does alike comes first, so that it is not searched: the workers wait, the requests are there.
        let server = Server::prepare(sim, 2, application(office.clone(), buy), Default::default());
        sim.run_task("worker-1");
        sim.run_task("worker-2");
        let buyers = [server.connect(sim), server.connect(sim)];
        buyers.iter().for_each(|buyer| drop(buyer.send(BUY)));
        server.run(sim);
        sim.advance(1.secs());
        assert_eq!(counts(&office), (0, 1), "sold more than there was");
        let mut statuses = buyers.map(|buyer| buyer.response().status().as_u16());
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }

    /// The same race finds the careless office, and draws how it comes about. A snapshot of the shrunk run's diagram
    /// tells a reader more than the assertion does, and stays the same from run to run.
    #[test]
    fn a_careless_office_is_found_out() {
        let failure = Exploration::bounded(1).check(|sim| race(sim, buy_carelessly)).unwrap_err();
        assert!(failure.message.contains("sold more than there was"), "{failure}");
        insta::assert_snapshot!(failure.diagram);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

        /// Whatever buyers do and whatever happens to the network: each ticket is either there or sold.
        #[test]
        fn tickets_are_neither_lost_nor_made(
            talks in prop::collection::vec(conversation(Just(BUY.repeat(2).into_bytes()), 5), 1..4),
            network in network(),
            faults in fault_plan(3, 200),
            schedule in schedule(),
        ) {
            simulate(Choices::bytes(schedule), |sim| {
                sim.set_network(network);
                let (server, office) = open(sim, 2, 3, Office::buy);
                sim.settle_now();
                sim.plan(&faults);
                let buyers: Vec<_> = talks.iter().map(|_| server.connect(sim)).collect();
                play(sim, &buyers.iter().zip(&talks).map(|(buyer, talk)| (&**buyer, talk)).collect::<Vec<_>>());
                sim.settle();
                let (left, sold) = counts(&office);
                prop_assert_eq!(left + sold, 3);
                let bought: usize = buyers.iter().flat_map(|buyer| buyer.whole_responses())
                    .filter(|response| response.status() == 200)
                    .count();
                prop_assert!(bought as u32 <= sold, "{} were told that they had one of {}", bought, sold);
                Ok(())
            })?;
        }
    }
}
