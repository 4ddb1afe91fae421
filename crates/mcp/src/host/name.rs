//! Names of proxied tools: `server__tool`, in the characters and the length that every client takes.

use sha2::{Digest, Sha256};

const LONGEST: usize = 64;
const SUFFIX: usize = 8;

/// The name of `tool` of `server`: readable when it fits, else cut and told apart by a hash that never changes.
pub(super) fn proxied(server: &str, tool: &str) -> String {
    let plain = format!("{server}__{tool}");
    let clean = clean(&plain);
    if clean == plain && clean.len() <= LONGEST { clean } else { distinct(server, tool) }
}

/// The name of `tool` of `server` with its hash, which no other pair has.
pub(super) fn distinct(server: &str, tool: &str) -> String {
    let digest = Sha256::new().chain_update(server).chain_update([0]).chain_update(tool).finalize();
    let suffix: String = digest.iter().take(SUFFIX / 2).map(|byte| format!("{byte:02x}")).collect();
    let mut name = clean(&format!("{server}__{tool}"));
    name.truncate(LONGEST - SUFFIX - 1);
    format!("{name}_{suffix}")
}

/// One ASCII character for each character, so that cutting never splits one.
fn clean(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' || c == '-' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_fit_stay_readable() {
        assert_eq!(proxied("aws-api", "call_aws"), "aws-api__call_aws");
    }

    #[test]
    fn names_that_do_not_fit_are_cut_marked_and_stable() {
        for (server, tool) in [
            ("s".repeat(40), "t".repeat(40)),
            ("münchen".into(), "größe".into()),
            ("a b".into(), "c.d".into()),
        ] {
            let name = proxied(&server, &tool);
            assert!(name.len() <= LONGEST && name.is_ascii(), "{name}");
            assert_eq!(name, proxied(&server, &tool));
        }
        assert_ne!(proxied("a b", "c"), proxied("a.b", "c"));
        assert_ne!(distinct("a", "b__c"), distinct("a__b", "c"));
    }
}
