//! Tests of the rig itself: that each peer comes up, and is what the other crates' tests take it for.

mod real;
