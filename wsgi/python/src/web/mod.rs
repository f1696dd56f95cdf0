//! Resource trees in Python, as the server sees them: what serves a site, a folder with scripts, or one script.
//!
//! ```text
//!   reactor            worker                                    another pool
//!   PythonSite ──────► handwound.web.server.serve(site, exchange)
//!     (a leaf)           getChild …, render                ───── an application, found in the tree
//!                        Exchange: start, write, finish …        (Call::hand_over)
//! ```
//!
//! To the reactor's thread such a tree is one leaf: walking it, as rendering, runs Python and happens on workers.

mod answer;
mod content;
mod exchange;
mod plan;
mod scripts;

pub use content::{be_strict, root};
pub use exchange::Exchange;
pub use plan::{SitePlan, WsgiApplication, plan_of};
