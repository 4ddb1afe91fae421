//! Aligns rows of text in columns.

use valetkey::escape_control_chars;

/// Returns the headings and the rows with aligned columns, one line each. Control characters are escaped.
pub(crate) fn table_text<const COLUMNS: usize>(
    headings: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> String {
    let rows = rows.into_iter().map(|row| row.map(|cell| escape_control_chars(&cell).into_owned()));
    let rows: Vec<_> = std::iter::once(headings.map(str::to_owned)).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: [usize; COLUMNS] = std::array::from_fn(width);
    let line = |row: &[String; COLUMNS]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_text_aligns_columns_and_escapes() {
        let rows = [["a\u{1b}".to_owned(), "1".to_owned()], ["bcdefghij".to_owned(), String::new()]];
        assert_eq!(table_text(["NAME", "N"], rows), "NAME       N\na\\u{1b}    1\nbcdefghij\n");
    }
}
