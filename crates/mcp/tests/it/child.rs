//! Programs run as children: exec-style, with a built environment, tied to the life of their host.

mod environment;
mod inherited;
mod launcher;
