//! Values that a test leaves to the search.

use std::fmt::Debug;
use std::ops::{Range, RangeInclusive};

use crate::sim::Sim;

/// What [`Sim::any`] can choose from: `0..20`, `1..=6`, `[EMFILE, ENFILE]`, a `Vec`.
pub trait AnyOf {
    /// What it is one of.
    type Value;

    /// One of them, as `choose` says: given how many there are, it returns which. The first is the plainest.
    fn one(self, choose: impl FnOnce(u32) -> u32) -> Self::Value;
}

#[track_caller]
fn whole<T: TryFrom<i128> + Debug>(least: i128, count: i128, choose: impl FnOnce(u32) -> u32, range: &str) -> T {
    assert!(count > 0, "there is nothing to choose from in `any({range})`; a range runs from the least value up");
    let Ok(options) = u32::try_from(count) else {
        panic!("`any({range})` has {count} values; a search can tell at most 2^32 - 1 apart");
    };
    let value = T::try_from(least + i128::from(choose(options)));
    value.unwrap_or_else(|_| unreachable!("between two values of its type"))
}

/// The least is the plainest.
impl<T: Copy + Debug + TryInto<i128> + TryFrom<i128>> AnyOf for Range<T> {
    type Value = T;

    #[track_caller]
    fn one(self, choose: impl FnOnce(u32) -> u32) -> T {
        let (least, end) = (number(self.start), number(self.end));
        whole(least, end - least, choose, &format!("{self:?}"))
    }
}

/// The least is the plainest.
impl<T: Copy + Debug + TryInto<i128> + TryFrom<i128>> AnyOf for RangeInclusive<T> {
    type Value = T;

    #[track_caller]
    fn one(self, choose: impl FnOnce(u32) -> u32) -> T {
        let (least, last) = (number(*self.start()), number(*self.end()));
        whole(least, last - least + 1, choose, &format!("{self:?}"))
    }
}

fn number<T: TryInto<i128> + Debug + Copy>(value: T) -> i128 {
    value.try_into().unwrap_or_else(|_| panic!("{value:?} is too large a number to choose from"))
}

impl<T, const N: usize> AnyOf for [T; N] {
    type Value = T;

    #[track_caller]
    fn one(self, choose: impl FnOnce(u32) -> u32) -> T {
        Vec::from(self).one(choose)
    }
}

impl<T> AnyOf for Vec<T> {
    type Value = T;

    #[track_caller]
    fn one(mut self, choose: impl FnOnce(u32) -> u32) -> T {
        assert!(!self.is_empty(), "there is nothing to choose from in `any`: the list is empty");
        let options = u32::try_from(self.len()).expect("a list of a test is short");
        self.swap_remove(choose(options) as usize)
    }
}

impl Sim {
    /// Any one of these, left to the search: drawn where seeds are searched, each in turn where all is. Recorded and
    /// replayed like every decision; a failure is shrunk towards the first.
    ///
    /// ```
    /// use handwound_testkit::{EMFILE, ENFILE, explore, seeds};
    ///
    /// explore(seeds(20), |sim| {
    ///     assert!(sim.any(0..20) < 20);
    ///     sim.accept_fails_once(sim.any([EMFILE, ENFILE]));
    /// });
    /// ```
    ///
    /// # Panics
    /// When there is nothing to choose from.
    #[track_caller]
    pub fn any<A: AnyOf>(&self, of: A) -> A::Value {
        of.one(|options| self.choose("any", options))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use crate::Exploration;

    #[test]
    fn every_value_of_a_range_and_of_a_list_is_tried() {
        let seen = RefCell::new(BTreeSet::new());
        Exploration::answers().run(|sim| {
            let number: i8 = sim.any(-2..=1);
            seen.borrow_mut().insert((number, sim.any(["a", "b"]), sim.any(7_usize..8)));
        });
        assert_eq!(seen.borrow().len(), 8);
        assert!(seen.borrow().contains(&(-2, "b", 7)));
    }

    #[test]
    #[should_panic = "nothing to choose from in `any(5..5)`"]
    fn an_empty_range_is_refused() {
        crate::Sim::new(crate::Choices::calm()).any(5..5);
    }
}
