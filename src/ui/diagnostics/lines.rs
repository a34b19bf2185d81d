//! The lines of a file that problems are drawn with, and what stands above each: found once for a file, because there may be a
//! problem on every line of it. Pure.

/// Bytes of the longest line that is quoted.
const LONGEST: usize = 4000;

/// One file.
pub(super) struct Lines<'a> {
    lines: Vec<&'a str>,
    /// For each line the nearest one above that is indented less, without empty ones.
    parents: Vec<Option<usize>>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        // A line that nobody could read is not quoted, and not searched for secrets: its place is enough.
        let lines: Vec<&str> = text.lines().map(|line| if line.len() > LONGEST { "" } else { line }).collect();
        let mut open: Vec<usize> = Vec::new();
        let mut parents = Vec::with_capacity(lines.len());
        for (at, line) in lines.iter().enumerate() {
            if line.trim().is_empty() {
                parents.push(None);
                continue;
            }
            while open.pop_if(|above| indent(lines[*above]) >= indent(line)).is_some() {}
            parents.push(open.last().copied());
            open.push(at);
        }
        Self { lines, parents }
    }

    /// A line by its number, from 1, if there is something to show; and the lines that it belongs to by their indentation, the
    /// nearest first.
    pub(super) fn get(&self, number: usize) -> Option<(&'a str, Vec<&'a str>)> {
        let at = number.checked_sub(1)?;
        let line = *self.lines.get(at).filter(|line| !line.is_empty())?;
        let parent = |at: &usize| self.parents.get(*at).copied().flatten();
        let above = std::iter::successors(parent(&at), parent).map(|at| self.lines[at]).collect();
        Some((line, above))
    }
}

/// Bytes before the first that is no blank.
pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_line_belongs_to_is_as_long_as_it_is_deep() {
        let mut text = "hosts:\n".to_owned();
        (0..2000).for_each(|n| text += &format!("  ci-{n}:\n\n    ssh: {{ address: 10.0.0.1 }}\n"));
        let lines = Lines::new(&text);
        assert_eq!(lines.get(1), Some(("hosts:", vec![])));
        assert_eq!(lines.get(2), Some(("  ci-0:", vec!["hosts:"])));
        assert_eq!(lines.get(3), None);
        assert_eq!(lines.get(6001), Some(("    ssh: { address: 10.0.0.1 }", vec!["  ci-1999:", "hosts:"])));
        assert_eq!(lines.get(6002), None);
        assert_eq!(lines.get(0), None);
    }

    #[test]
    fn deeper_neighbours_and_long_lines_are_passed_over() {
        let text = format!("a:\n  b:\n      c: 1\n    d: 2\n {}\n    e: 3\n", "x".repeat(LONGEST));
        let lines = Lines::new(&text);
        assert_eq!(lines.get(4), Some(("    d: 2", vec!["  b:", "a:"])));
        assert_eq!(lines.get(5), None);
        assert_eq!(lines.get(6), Some(("    e: 3", vec!["  b:", "a:"])));
    }
}
