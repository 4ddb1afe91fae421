//! Splits the command line of `credential_process` into words, with the quotes of a POSIX shell.

use std::iter::Peekable;
use std::str::Chars;

use valetkey_core::{Error, Result};

/// Characters with a meaning to a shell anywhere outside quotes.
const SHELL_ACTIVE: &str = "$`|&;<>()*?[{\n";
/// Characters with a meaning to a shell at the start of a word.
const SHELL_ACTIVE_AT_WORD_START: &str = "~#";

/// Splits a line into words. A line that needs a shell is refused: taken literally, it would have another meaning here
/// than in the tools that read the same configuration.
pub(super) fn split_words(line: &str) -> Result<Vec<String>> {
    let mut rest = line.trim().chars().peekable();
    let mut words = Vec::new();
    while rest.peek().is_some() {
        words.push(parse_word(&mut rest)?);
        while rest.next_if(|c| is_blank(*c)).is_some() {}
    }
    Ok(words)
}

fn parse_word(rest: &mut Peekable<Chars<'_>>) -> Result<String> {
    let mut word = String::new();
    let mut at_start = true;
    while let Some(c) = rest.next_if(|c| !is_blank(*c)) {
        match c {
            '\'' => parse_single_quoted(rest, &mut word)?,
            '"' => parse_double_quoted(rest, &mut word)?,
            '\\' => word.push(rest.next().ok_or_else(unclosed_quote)?),
            c if SHELL_ACTIVE.contains(c) || (at_start && SHELL_ACTIVE_AT_WORD_START.contains(c)) => {
                return Err(needs_shell());
            }
            c => word.push(c),
        }
        at_start = false;
    }
    Ok(word)
}

fn parse_single_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<()> {
    loop {
        match rest.next().ok_or_else(unclosed_quote)? {
            '\'' => return Ok(()),
            c => word.push(c),
        }
    }
}

fn parse_double_quoted(rest: &mut Peekable<Chars<'_>>, word: &mut String) -> Result<()> {
    loop {
        match rest.next().ok_or_else(unclosed_quote)? {
            '"' => return Ok(()),
            '$' | '`' => return Err(needs_shell()),
            '\\' => match rest.next().ok_or_else(unclosed_quote)? {
                c @ ('"' | '\\' | '$' | '`') => word.push(c),
                c => word.extend(['\\', c]),
            },
            c => word.push(c),
        }
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

fn unclosed_quote() -> Error {
    Error::invalid("credential_process", "has a quote or an escape that does not end")
        .with_next_step("close the quote")
}

pub(super) fn needs_shell() -> Error {
    Error::invalid("credential_process", "needs a shell, and none is used").with_next_step(
        "put characters with a meaning to a shell between single quotes, or name `/bin/sh` with `-c` as the program",
    )
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;

    use super::*;

    /// Returns the words that a shell finds in an accepted line, which runs nothing.
    fn split_by_shell(line: &str) -> Vec<u8> {
        let output = Command::new("/bin/sh").arg("-c").arg(format!("printf '<%s>' {line}")).output().unwrap();
        assert!(output.status.success(), "{line:?}: {output:?}");
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn split_words_accepted_line_matches_shell(line in "[a-c '\"\\\\=#~!%,:{}$-]{0,24}") {
            let line = format!("x{line}");
            let Ok(words) = split_words(&line) else { return Ok(()) };
            let ours: String = words.iter().map(|word| format!("<{word}>")).collect();
            prop_assert_eq!(ours.into_bytes(), split_by_shell(&line));
        }

        #[test]
        fn split_words_single_quoted_round_trips(
            wanted in proptest::collection::vec("[^'\0]{0,12}", 1..5),
        ) {
            let line: Vec<_> = wanted.iter().map(|word| format!("'{word}'")).collect();
            prop_assert_eq!(split_words(&line.join(" \t")).unwrap(), wanted);
        }
    }
}
