//! Runs the workspace rules as a test.

mod tidy;
