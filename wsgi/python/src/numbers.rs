//! Numbers as strings, remembered: ports and lengths come again, and a string takes 250 instructions to make and free.

use pyo3::prelude::*;
use pyo3::types::PyString;

use crate::raw;

/// How many are remembered at once: the ports of that many clients.
const SLOTS: usize = 256;

/// A number and what it is as a string.
type Known = (u64, Py<PyString>);

/// The numbers seen last, each where no other has taken its place.
pub struct Numbers {
    slots: Box<[Option<Known>]>,
}

impl Numbers {
    /// No numbers yet.
    pub fn new() -> Numbers {
        Numbers { slots: (0..SLOTS).map(|_| None).collect() }
    }

    /// `number` in decimal.
    pub fn text<'py>(&mut self, py: Python<'py>, number: u64) -> PyResult<Bound<'py, PyString>> {
        // Ports of one client come in steps of two: the last bit alone would leave every other place empty.
        let slot = &mut self.slots[(number ^ (number >> 8)) as usize % SLOTS];
        match slot {
            Some((there, text)) if *there == number => Ok(text.bind(py).clone()),
            slot => {
                let text = raw::latin1(py, itoa::Buffer::new().format(number).as_bytes())?;
                *slot = Some((number, text.clone().unbind()));
                Ok(text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn numbers_that_share_a_place_are_told_apart() {
        crate::socket_server::python();
        Python::attach(|py| {
            let mut numbers = Numbers::new();
            for number in (0..10_000).chain([u64::MAX, 0, 0]) {
                assert_eq!(numbers.text(py, number).unwrap().to_string(), number.to_string());
            }
        });
    }
}
