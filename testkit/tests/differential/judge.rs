//! Whether what the simulation shows is among what real sockets show; and if not, what differs.

use std::fmt::Write as _;
use std::time::Duration;

use handwound_reactor::{Address, MioReactor};
use handwound_testkit::{Choices, NetworkOptions, Sim};

use crate::script::{Outcome, Script, Sockets, Step};
use crate::stage::Stage;

type Run = Vec<(Step, Outcome)>;

/// How long real sockets are given to settle, run by run, in microseconds: longer each time that something differs.
const SETTLE: [u64; 6] = [10, 100, 1_000, 5_000, 20_000, 50_000];
/// While a script is made shorter: many are tried, and the last of them is looked at thoroughly again.
const SETTLE_BRIEFLY: usize = 3;

/// Where to listen, where nobody does, and the folder that goes away afterwards.
fn places(sockets: Sockets) -> (Address, Address, Option<tempfile::TempDir>) {
    let Sockets::Unix = sockets else {
        let any = Address::Tcp(([127, 0, 0, 1], 0).into());
        return (any.clone(), any, None);
    };
    let folder = tempfile::tempdir().unwrap();
    let path = |name| Address::Unix(Some(folder.path().join(name)));
    (path("listener"), path("nobody"), Some(folder))
}

pub fn real(script: &Script, settle: Duration) -> Run {
    let (at, nowhere, _folder) = places(script.sockets);
    Stage::new(MioReactor::new().unwrap(), settle, script, &at, &nowhere).run()
}

/// On a calm network, on one that is as rough as can be, and on one as the choices have it.
pub fn simulated(script: &Script, seed: u64) -> [(String, Run); 3] {
    let (at, nowhere, _folder) = places(script.sockets);
    let rough = NetworkOptions::rough();
    let grounds =
        [("calm", Choices::calm(), Some(NetworkOptions::calm())), ("rough", Choices::seed(seed), Some(rough))];
    let run = |(name, choices, network): (&str, Choices, Option<NetworkOptions>)| {
        let sim = Sim::new(choices);
        let mut network = network.unwrap_or_else(|| sim.network());
        network.receive_buffer_bytes = script.buffer;
        sim.set_network(network);
        // More than any latency, and free.
        let run = Stage::new(sim.reactor("stage"), Duration::from_secs(10), script, &at, &nowhere).run();
        (format!("{name}, seed {seed}"), run)
    };
    let [calm, rough] = grounds.map(run);
    [calm, rough, run(("drawn", Choices::seed(seed), None))]
}

fn outcomes(run: &Run) -> impl Iterator<Item = &Outcome> {
    run.iter().map(|(_, outcome)| outcome)
}

/// Checks that each simulated run of a script is one that real sockets show; `briefly`: that they show soon.
///
/// # Errors
/// What differs, to be shown to people.
pub fn compare(script: &Script, seed: u64, briefly: bool) -> Result<(), String> {
    let simulated = simulated(script, seed);
    let mut unseen: Vec<_> = simulated.iter().collect();
    let mut shown = Vec::new();
    for micros in &SETTLE[..if briefly { SETTLE_BRIEFLY } else { SETTLE.len() }] {
        let real = real(script, Duration::from_micros(*micros));
        unseen.retain(|(_, run)| !outcomes(run).eq(outcomes(&real)));
        if unseen.is_empty() {
            return Ok(());
        }
        shown.push(real);
    }
    let (name, run) = unseen[0];
    Err(format!(
        "{:?}, backlog {}, buffers of {} ({name})\n{}",
        script.sockets,
        script.backlog,
        script.buffer,
        table(run, &shown)
    ))
}

/// The script, beside it what the simulation has shown and what real sockets have; marked where it is something else.
fn table(simulated: &Run, real: &[Run]) -> String {
    let mut table = format!("  {:24} {:32} real, {} runs\n", "", "simulated", real.len());
    for (index, (step, outcome)) in simulated.iter().enumerate() {
        let mut set: Vec<(&Outcome, usize)> = Vec::new();
        for run in real {
            let Some((_, there)) = run.get(index) else { continue };
            match set.iter_mut().find(|(known, _)| *known == there) {
                Some((_, times)) => *times += 1,
                None => set.push((there, 1)),
            }
        }
        let mark = if set.iter().any(|(there, _)| *there == outcome) { ' ' } else { '!' };
        let set: Vec<String> = match set.as_slice() {
            [(there, _)] if *there == outcome => vec!["the same".to_owned()],
            set => set.iter().map(|(there, times)| format!("{there:?} ({times})")).collect(),
        };
        let (step, outcome) = (step.to_string(), format!("{outcome:?}"));
        let _ = writeln!(table, "{mark} {step:24} {outcome:32} {}", set.join(" | "));
    }
    table
}
