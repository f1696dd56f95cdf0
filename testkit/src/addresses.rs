//! Who listens where, and the names of ports.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use handwound_reactor::Address;

use crate::network::Listener;
use crate::world::World;

const FIRST_LISTEN_PORT: u16 = 40_001;
const FIRST_PEER_PORT: u32 = 50_001;

impl World {
    pub(crate) fn listener_at(&self, to: &Address) -> Option<u32> {
        let at = |listener: &Listener| listener.open && clash(&listener.address, to);
        self.net.listeners.iter().position(at).map(|index| index as u32)
    }

    pub(crate) fn free_port(&mut self) -> u16 {
        loop {
            let port = FIRST_LISTEN_PORT + self.net.ports;
            self.net.ports += 1;
            let used = |l: &Listener| l.open && l.address.tcp().is_some_and(|at| at.port() == port);
            if !self.net.listeners.iter().any(used) {
                return port;
            }
        }
    }

    /// The address of one who connects to `to`: the next port, or no name.
    pub(crate) fn peer_address(&self, to: &Address) -> Address {
        let Address::Tcp(to) = to else { return Address::Unix(None) };
        let port = (FIRST_PEER_PORT + self.net.next_serial() % 15_000) as u16;
        let loopback = match to.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        };
        Address::Tcp(SocketAddr::new(loopback, port))
    }
}

/// Whether a listener at `one` hears what comes for `other`.
pub(crate) fn clash(one: &Address, other: &Address) -> bool {
    match (one, other) {
        (Address::Tcp(one), Address::Tcp(other)) => {
            one.port() == other.port()
                && (one.ip() == other.ip() || one.ip().is_unspecified() || other.ip().is_unspecified())
        }
        (one, other) => one == other,
    }
}

pub(crate) fn port(address: &Address) -> u64 {
    address.tcp().map_or(0, |address| u64::from(address.port()))
}
