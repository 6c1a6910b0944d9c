//! Sandboxes: the one thing a drill makes and owns, and tears down.

pub mod direct;
