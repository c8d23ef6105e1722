//! The figures as tables: one of medians, and one of ratios between libraries.

use std::iter;

use crate::run::{Cell, Results, Row};
use crate::unit::{Unit, three_digits};

/// Rows of cells; the first row holds the names of the columns.
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    /// The medians, with the least and the most.
    pub(crate) fn of_figures(results: &Results) -> Self {
        let cell = |row: &Row, cell: &Option<Cell>| cell.as_ref().map(|cell| shown(row.unit, cell));
        let mut table = Self::new("workload", results.libraries.iter().cloned());
        for row in &results.rows {
            table.push(row.name, row.cells.iter().map(|figures| cell(row, figures)));
        }
        table
    }

    /// The ratio of the first library to each peer, where both have a figure: above 1, the first is better. `None`
    /// without peers.
    pub(crate) fn of_ratios(results: &Results) -> Option<Self> {
        let peers = results.peers.iter().map(|&peer| results.libraries[peer].clone());
        let mut table = Self::new(&format!("{} against", results.libraries[0]), peers);
        let times = |ratio: &Option<f64>| ratio.map(|ratio| format!("x {}", three_digits(ratio)));
        for row in results.rows.iter().filter(|row| row.ratios.iter().any(Option::is_some)) {
            table.push(row.name, row.ratios.iter().map(times));
        }
        (!results.peers.is_empty()).then_some(table)
    }

    /// The bounds that the first library's times have, as parts of the first peer's, and whether they are kept. `None`
    /// without bounds or without peers.
    pub(crate) fn of_bounds(results: &Results) -> Option<Self> {
        let peer = &results.libraries[*results.peers.first()?];
        let rows = results.rows.iter().filter_map(|row| Some((row.name, row.ratios[0], row.bound?)));
        Self::of_parts(peer, rows)
    }

    /// The same for rows with a name, how many times better than the peer the first library is, and a bound.
    pub(crate) fn of_parts<'a>(peer: &str, rows: impl Iterator<Item = (&'a str, Option<f64>, f64)>) -> Option<Self> {
        let columns = [format!("part of {peer}'s time"), "at most".to_owned(), "kept".to_owned()];
        let mut table = Self::new("workload", columns.into_iter());
        for (name, times_better, bound) in rows {
            let part = times_better.map(|times| 1.0 / times);
            let kept = part.map(|part| if part <= bound { "yes" } else { "no" }.to_owned());
            table.push(name, [part.map(three_digits), Some(bound.to_string()), kept].into_iter());
        }
        (table.0.len() > 1).then_some(table)
    }

    /// An empty table with the names of its columns, the first of which is `corner`.
    pub(crate) fn new(corner: &str, columns: impl Iterator<Item = String>) -> Self {
        Self(vec![iter::once(corner.to_owned()).chain(columns).collect()])
    }

    /// Adds a row. A cell without a figure is a dash.
    pub(crate) fn push(&mut self, name: &str, cells: impl Iterator<Item = Option<String>>) {
        let cells = cells.map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
        self.0.push(iter::once(name.to_owned()).chain(cells).collect());
    }

    /// In Markdown, with padded cells so that the source is readable too.
    pub(crate) fn markdown(&self) -> String {
        let lines = &self.0;
        let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<_> = (0..lines[0].len()).map(width).collect();
        let line = |cells: &[String], fill: char| {
            let mut text = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let missing = width - cell.chars().count();
                text += &format!("| {cell}{} ", fill.to_string().repeat(missing));
            }
            text + "|\n"
        };
        let mut text = line(&lines[0], ' ');
        text += &line(&vec![String::new(); widths.len()], '-');
        text.extend(lines[1..].iter().map(|cells| line(cells, ' ')));
        text
    }

    /// In HTML, with the names of rows and columns as headers.
    pub(crate) fn html(&self) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;");
        let mut html = String::from("<table>\n");
        for (number, line) in self.0.iter().enumerate() {
            html += "<tr>";
            for (column, cell) in line.iter().enumerate() {
                let tag = if number == 0 || column == 0 { "th" } else { "td" };
                html += &format!("<{tag}>{}</{tag}>", escaped(cell));
            }
            html += "</tr>\n";
        }
        html + "</table>\n"
    }
}

fn shown(unit: Unit, cell: &Cell) -> String {
    let [median, min, max] = [cell.median, cell.min, cell.max].map(|value| unit.show(value));
    if cell.min < cell.max { format!("{median} ({min} to {max})") } else { median }
}
