//! `Word`: one lowercase word of a text or a name, and whether it continues the word before it.

/// One word, without the punctuation around it.
#[derive(Debug, PartialEq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) line: usize,
    /// Whether only spaces, a hyphen, an underscore or comment markers separate it from the word before it.
    pub(super) follows_closely: bool,
}

/// Returns the words of `text`. Names are split at underscores and at the capital letters of their parts.
pub(super) fn split_words(text: &str) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for (line, content) in (1..).zip(text.lines()) {
        let mut follows_closely = !words.is_empty();
        let mut after_lower = false;
        let mut is_inside = false;
        for letter in content.trim_start().trim_start_matches(['/', '!', '#', '>']).chars() {
            if !letter.is_alphanumeric() {
                follows_closely = (is_inside || follows_closely) && matches!(letter, ' ' | '-' | '_' | '\t');
                is_inside = false;
            } else if is_inside && !(letter.is_uppercase() && after_lower) {
                push_lowercase(&mut words, letter);
            } else {
                let follows_closely = is_inside || follows_closely;
                words.push(Word { text: letter.to_lowercase().collect(), line, follows_closely });
                is_inside = true;
            }
            after_lower = letter.is_lowercase();
        }
        if !is_inside && !follows_closely {
            // Punctuation ends the line; the next line begins a new phrase.
            words.push(Word { text: String::new(), line, follows_closely: false });
        }
    }
    words
}

fn push_lowercase(words: &mut [Word], letter: char) {
    if let Some(word) = words.last_mut() {
        word.text.extend(letter.to_lowercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<(String, bool)> {
        split_words(text).into_iter().map(|word| (word.text, word.follows_closely)).collect()
    }

    #[test]
    fn split_words_splits_names_and_lowercases() {
        let words = split_words("by_hand ByHand\nBY-HAND");
        let words: Vec<_> = words.iter().map(|word| (word.text.as_str(), word.line)).collect();
        assert_eq!(words, [("by", 1), ("hand", 1), ("by", 1), ("hand", 1), ("by", 2), ("hand", 2)]);
    }

    #[test]
    fn split_words_comment_marker_keeps_phrase_and_comma_ends_it() {
        let word = |text: &str, follows_closely| (text.to_owned(), follows_closely);
        assert_eq!(texts("/// by\n    /// hand"), [word("by", false), word("hand", true)]);
        assert_eq!(texts("by, hand"), [word("by", false), word("hand", false)]);
    }
}
