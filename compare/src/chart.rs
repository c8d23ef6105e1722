//! The figures as an HTML page: one chart for each workload, with a bar for each library and its least and most.

use std::fmt::Display;
use std::fmt::Write as _;

use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, DrawingArea, FontTransform, IntoDrawingArea, IntoFont, PathElement, RGBColor, Rectangle, SVGBackend, Text,
    TextStyle, WHITE,
};
use plotters::style::{Color, ShapeStyle};

use crate::run::{Results, Row};
use crate::table::Table;

const WIDTH: u32 = 600;
const BAR: u32 = 26;
const TITLE: u32 = 34;

/// The x position where bars begin, and the length of the longest, in pixels.
const LEFT: i32 = 170;
const LONGEST: f64 = 300.0;

/// One for each library; people with colour blindness can tell them apart.
const COLORS: [RGBColor; 7] = [
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(213, 94, 0),
    RGBColor(86, 180, 233),
    RGBColor(240, 228, 66),
];

/// The whole page, which loads nothing from elsewhere.
pub(crate) fn page(results: &Results) -> Result<String, String> {
    let mut page = String::from(HEAD);
    page += &format!("<p>{}, {} rounds.</p>\n", results.cpu, results.rounds);
    for row in &results.rows {
        page += &chart(&results.libraries, row).map_err(|error| error.to_string())?;
        page.push('\n');
    }
    page += &format!("<h2>Medians (least to most)</h2>\n{}", Table::of_figures(results).html());
    if let Some(ratios) = Table::of_ratios(results) {
        page += &format!("<h2>How many times better</h2>\n{}", ratios.html());
    }
    if let Some(bounds) = Table::of_bounds(results) {
        page += &format!("<h2>Bounds</h2>\n{}", bounds.html());
    }
    page.push_str("</html>\n");
    Ok(page)
}

const HEAD: &str = "\
<!DOCTYPE html>
<html lang=\"en\"><meta charset=\"utf-8\"><title>Libraries compared</title>
<style>
body { font-family: sans-serif; margin: 2em; }
svg { margin: 0.5em; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: 0.3em 0.8em; text-align: left; }
</style>
<h1>Libraries compared</h1>
<p>Medians; the line at the end of a bar goes from the least to the most.</p>
";

type Failure = Box<dyn std::error::Error>;

fn chart(libraries: &[String], row: &Row) -> Result<String, Failure> {
    let shown: Vec<_> = libraries.iter().zip(&row.cells).zip(COLORS.iter().cycle()).collect();
    let most = row.cells.iter().flatten().map(|cell| cell.max).fold(0.0, f64::max);
    let length = |value: f64| (value / most * LONGEST) as i32;
    let mut svg = String::new();
    {
        let size = (WIDTH, TITLE + BAR * u32::try_from(shown.len())? + 8);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&WHITE)?;
        let better = if row.unit.more_is_better() { "more is better" } else { "less is better" };
        text(&area, &format!("{} ({better})", row.name), (8, 8), 16)?;
        for (place, ((library, cell), color)) in shown.into_iter().enumerate() {
            let top = i32::try_from(TITLE + BAR * u32::try_from(place)?)?;
            let middle = top + 10;
            text(&area, library, (8, top + 3), 14)?;
            let Some(cell) = cell else {
                text(&area, "-", (LEFT, top + 3), 14)?;
                continue;
            };
            let end = LEFT + length(cell.median);
            area.draw(&Rectangle::new([(LEFT, top), (end, top + 20)], color.filled()))?;
            let spread = vec![(LEFT + length(cell.min), middle), (LEFT + length(cell.max), middle)];
            area.draw(&PathElement::new(spread, ShapeStyle::from(&BLACK).stroke_width(1)))?;
            let label = LEFT + length(cell.max.max(cell.median)) + 6;
            text(&area, &row.unit.show(cell.median), (label, top + 3), 14)?;
        }
        area.present()?;
    }
    Ok(svg)
}

fn text(
    area: &DrawingArea<SVGBackend<'_>, Shift>,
    text: &(impl Display + ?Sized),
    at: (i32, i32),
    size: i32,
) -> Result<(), Failure> {
    let mut words = String::new();
    write!(words, "{text}")?;
    let style: TextStyle<'_> = ("sans-serif", size).into_font().transform(FontTransform::None).color(&BLACK);
    Ok(area.draw(&Text::new(words, at, style)).map_err(|error| error.to_string())?)
}
