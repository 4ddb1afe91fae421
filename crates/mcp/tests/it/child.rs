//! Programs run as children: with inherited streams, a built environment, and a lifetime tied to their host's.

mod environment;
mod inherited;
mod launcher;
