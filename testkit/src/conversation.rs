//! What clients do, as values: to be generated, printed, shrunk and played.

use std::time::Duration;

use crate::client::Client;
use crate::sim::Sim;

/// One thing a client does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Sends bytes.
    Send(Vec<u8>),
    /// Does nothing for so long.
    Wait(Duration),
    /// Ends its stream and goes on reading.
    Finish,
    /// Closes its socket.
    Close,
    /// Resets the connection.
    Reset,
}

/// What one client does, in order. Steps after the end of its own stream, except waits, are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conversation {
    /// The steps.
    pub steps: Vec<Step>,
}

impl Conversation {
    /// All bytes it sends, as far as nothing ends its stream before.
    pub fn bytes(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for step in &self.steps {
            match step {
                Step::Send(bytes) => all.extend(bytes),
                Step::Wait(_) => {}
                Step::Finish | Step::Close | Step::Reset => break,
            }
        }
        all
    }
}

/// Plays conversations at the same time, one for each client; the clock goes on where they wait.
///
/// ```
/// use handwound_testkit::{Choices, Conversation, Sim, Step, play};
/// # use handwound_reactor::{Address, ListenOptions, Reactor};
/// use std::time::Duration;
///
/// let sim = Sim::new(Choices::calm());
/// # let mut reactor = sim.reactor("server");
/// # let at = Address::Tcp("127.0.0.1:80".parse()?);
/// # reactor.listen(&at, &ListenOptions::default())?;
/// let pause = Step::Wait(Duration::from_secs(1));
/// let halting = Conversation { steps: vec![Step::Send(b"GET".into()), pause, Step::Send(b" /".into()), Step::Finish] };
/// play(&sim, &[(&sim.connect(&at), &halting)]);
/// assert_eq!(sim.now().since_start(), Duration::from_secs(1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn play(sim: &Sim, conversations: &[(&Client, &Conversation)]) {
    let start = sim.now();
    let (mut all, mut end) = (Vec::new(), Duration::ZERO);
    for (client, conversation) in conversations {
        let mut at = Duration::ZERO;
        for step in &conversation.steps {
            match step {
                Step::Wait(wait) => at += *wait,
                step => all.push((at, *client, step)),
            }
        }
        // Who waits at the end is waited for too.
        end = end.max(at);
    }
    all.sort_by_key(|(at, ..)| *at);
    for (at, client, step) in all {
        sim.advance((start + at).saturating_since(sim.now()));
        match step {
            Step::Send(bytes) if client.can_send() => drop(client.send(bytes)),
            Step::Send(_) | Step::Wait(_) => {}
            Step::Finish => client.finish(),
            Step::Close => client.close(),
            Step::Reset => client.reset(),
        }
    }
    sim.advance((start + end).saturating_since(sim.now()));
}
