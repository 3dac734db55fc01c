//! Columns of text for people.

/// Rows as lines whose columns stand below each other; the last column is as long as it is. Trailing blanks are cut off.
pub fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let most = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..most).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["a".to_owned(), "ümläut".into(), "x".into()], vec!["long".into(), String::new(), "y".into()], vec!["b".into()]];
        assert_eq!(columns(&rows), ["a     ümläut  x", "long          y", "b"]);
    }
}
