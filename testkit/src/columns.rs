//! Columns of a diagram: one for each who takes part, as long as they are few. Of many of a kind those that tell most
//! have columns of their own, and the others share one.

use std::collections::BTreeMap;

use crate::story::{Kind, Story, Who};

/// Columns for one kind of lane (clients, reactors, workers), the one that the rest share included.
const ALIKE_MAX: usize = 6;

/// Who stands where.
pub(crate) struct Columns {
    /// By lane.
    of: Vec<usize>,
    pub(crate) names: Vec<String>,
    /// How those that share a column are told apart there, by lane.
    tags: Vec<Option<String>>,
}

impl Columns {
    /// For those lanes that `shown` says take part.
    pub(crate) fn of(story: &Story, shown: &[bool]) -> Columns {
        let mut alike: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
        for (lane, (who, _)) in story.lanes.iter().enumerate() {
            if shown[lane] {
                alike.entry(rank(*who)).or_default().push(lane);
            }
        }
        let mut columns =
            Columns { of: vec![usize::MAX; story.lanes.len()], names: Vec::new(), tags: vec![None; story.lanes.len()] };
        for lanes in alike.into_values() {
            let own = if lanes.len() <= ALIKE_MAX { lanes.clone() } else { most_telling(story, &lanes) };
            for &lane in &own {
                columns.of[lane] = columns.names.len();
                columns.names.push(story.lanes[lane].1.clone());
            }
            let rest: Vec<usize> = lanes.into_iter().filter(|lane| !own.contains(lane)).collect();
            if !rest.is_empty() {
                columns.share(story, &rest);
            }
        }
        columns
    }

    fn share(&mut self, story: &Story, rest: &[usize]) {
        let kind = match story.lanes[rest[0]].0 {
            Who::Client(_) => "clients",
            Who::Reactor(_) => "reactors",
            _ => "threads",
        };
        for &lane in rest {
            self.of[lane] = self.names.len();
            let (who, name) = &story.lanes[lane];
            self.tags[lane] = Some(match who {
                Who::Client(client) => format!("#{client}"),
                _ => name.clone(),
            });
        }
        self.names.push(format!("{} other {kind}", rest.len()));
    }

    pub(crate) fn at(&self, lane: usize) -> usize {
        self.of[lane]
    }

    /// Who of those that share its column this is; `None` for a column of its own.
    pub(crate) fn tag(&self, lane: usize) -> Option<&str> {
        self.tags[lane].as_deref()
    }
}

fn rank(who: Who) -> u8 {
    match who {
        Who::Test => 0,
        Who::Client(_) => 1,
        Who::Reactor(_) => 2,
        Who::Worker(_) => 3,
        Who::Network => 4,
    }
}

/// Whom to keep: first those with trouble, then clients that have asked and heard nothing since, then the first ones.
fn most_telling(story: &Story, lanes: &[usize]) -> Vec<usize> {
    let mut trouble = vec![false; story.lanes.len()];
    let mut waits = vec![false; story.lanes.len()];
    for act in story.acts.iter().filter(|act| act.kind == Kind::Trouble) {
        trouble[act.lane] = true;
    }
    for link in story.links.iter().filter(|link| link.kind == Kind::Bytes) {
        (waits[link.from_lane], waits[link.to_lane]) = (true, false);
    }
    let mut kept = lanes.to_vec();
    kept.sort_by_key(|&lane| (!trouble[lane], !waits[lane], lane));
    kept.truncate(ALIKE_MAX - 1);
    kept.sort_unstable();
    kept
}
