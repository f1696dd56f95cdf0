//! What the network keeps, seen from inside.
#![allow(clippy::unwrap_used)]
use crate::choices::Choices;
use crate::network_options::NetworkOptions;
use crate::world::World;
use handwound_reactor::{Address, Close, ListenOptions};

#[test]
fn a_connection_that_both_have_left_makes_room_for_another() {
    for options in [NetworkOptions::calm(), NetworkOptions::rough()] {
        let mut world = World::new(Choices::seed(1));
        world.network = options;
        let reactor = world.new_reactor("r");
        let at = Address::Unix(Some("/run/r".into()));
        let listener = world.listen(reactor, &at, &ListenOptions::default()).unwrap();
        let arrive_all = |world: &mut World| {
            while let Some(due) = world.net.next_due() {
                world.now = world.now.max(due);
                world.deliver_next();
            }
        };
        for how in [Close::Graceful, Close::Reset, Close::Graceful, Close::Graceful] {
            let there = world.connect(reactor, &at).unwrap();
            arrive_all(&mut world);
            let here = loop {
                if let Ok((here, _)) = world.accept(reactor, listener) {
                    break here;
                }
            };
            world.close(reactor, there, how);
            arrive_all(&mut world);
            world.close(reactor, here, Close::Graceful);
            arrive_all(&mut world);
            assert_eq!((world.net.connections.len(), world.net.free.len()), (1, 1));
        }
    }
}
