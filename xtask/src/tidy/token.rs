//! A file as a flat list of tokens, so that a rule can find `std :: env` wherever it occurs.

use proc_macro2::{LexError, TokenStream, TokenTree};

/// One identifier, literal or punctuation mark, and its line.
#[derive(Clone, Debug)]
pub(crate) struct SourceToken {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// Returns all tokens of `text`. Comments are omitted, and documentation is one literal.
pub(crate) fn tokenize(text: &str) -> Result<Vec<SourceToken>, LexError> {
    let mut tokens = Vec::new();
    flatten(text.parse()?, &mut tokens);
    Ok(tokens)
}

/// Returns the lines on which `phrase` begins: tokens separated by spaces, such as `. unwrap (`.
pub(crate) fn find_phrase(tokens: &[SourceToken], phrase: &str) -> Vec<usize> {
    let words: Vec<&str> = phrase.split(' ').collect();
    let matches_words =
        |window: &&[SourceToken]| window.iter().zip(&words).all(|(token, word)| token.text == *word);
    tokens.windows(words.len()).filter(matches_words).map(|window| window[0].line).collect()
}

fn flatten(stream: TokenStream, tokens: &mut Vec<SourceToken>) {
    for token in stream {
        let line = token.span().start().line;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = delimiters(&group);
                tokens.push(SourceToken { text: open.to_owned(), line });
                flatten(group.stream(), tokens);
                tokens.push(SourceToken { text: close.to_owned(), line: group.span_close().start().line });
            }
            other => push_token(other.to_string(), line, tokens),
        }
    }
}

/// Appends a token. Two colons are one token.
fn push_token(text: String, line: usize, tokens: &mut Vec<SourceToken>) {
    match tokens.last_mut() {
        Some(last) if last.text == ":" && text == ":" => last.text.push(':'),
        _ => tokens.push(SourceToken { text, line }),
    }
}

fn delimiters(group: &proc_macro2::Group) -> (&'static str, &'static str) {
    match group.delimiter() {
        proc_macro2::Delimiter::Parenthesis => ("(", ")"),
        proc_macro2::Delimiter::Brace => ("{", "}"),
        proc_macro2::Delimiter::Bracket => ("[", "]"),
        proc_macro2::Delimiter::None => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn find_phrase_skips_comments() {
        let tokens = tokenize("//! std::env\nfn f() {\n    g!(std::env::var(1)); // std::env\n}").unwrap();
        assert_eq!(find_phrase(&tokens, "std :: env"), [3]);
    }
}
