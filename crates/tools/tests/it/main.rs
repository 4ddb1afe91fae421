//! Integration tests of the agent tools.
