//! The house rules, as a test.

mod tidy;
