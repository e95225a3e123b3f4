//! The rows of an inpainting evaluation as an aligned table and as CSV.

use super::InpaintEvalRow;

const HEADINGS: [&str; 15] = [
    "bundle",
    "mode",
    "hole %",
    "in focus %",
    "object %",
    "± %",
    "context %",
    "all %",
    "seam",
    "difference",
    "GFLOPs",
    "of full %",
    "steps ms",
    "of full %",
    "latency ms",
];

/// A row's cells under the headings; costs also as shares of full compute (`off`), where that was run.
fn cells(row: &InpaintEvalRow, rows: &[InpaintEvalRow]) -> Vec<String> {
    let full = rows.iter().find(|r| (r.mode.as_str(), r.hole, &r.name) == ("off", row.hole, &row.name));
    let of_full = |value: fn(&InpaintEvalRow) -> f64| {
        full.map_or(String::new(), |f| format!("{:.1}", 100.0 * value(row) / value(f)))
    };
    vec![
        row.name.clone(),
        row.mode.clone(),
        row.hole.to_string(),
        format!("{:.1}", 100.0 * row.in_focus),
        format!("{:.1}", row.object.percent()),
        format!("{:.1}", row.object.error()),
        format!("{:.1}", row.context.percent()),
        format!("{:.1}", row.all.percent()),
        format!("{:.2}", row.seam),
        format!("{:.2}", row.difference),
        format!("{:.3}", row.gflops),
        of_full(|r| r.gflops),
        format!("{:.1}", row.steps_ms),
        of_full(|r| r.steps_ms),
        format!("{:.1}", row.latency_ms),
    ]
}

fn table(rows: &[InpaintEvalRow]) -> Vec<Vec<String>> {
    let headings = HEADINGS.iter().map(|h| (*h).to_owned()).collect();
    std::iter::once(headings).chain(rows.iter().map(|row| cells(row, rows))).collect()
}

/// Aligned columns; words to the left, numbers to the right.
pub fn text(rows: &[InpaintEvalRow]) -> String {
    let table = table(rows);
    let width = |column: usize| table.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max();
    let line = |row: &Vec<String>| {
        let aligned = row.iter().enumerate().map(|(i, cell)| {
            let width = width(i).unwrap_or(0);
            if i < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Comma-separated, with headings.
pub fn csv(rows: &[InpaintEvalRow]) -> String {
    table(rows)
        .iter()
        .map(|row| row.iter().map(|cell| cell.replace(',', " ")).collect::<Vec<_>>().join(",") + "\n")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Share;
    use super::*;

    #[test]
    fn costs_are_told_as_shares_of_full_compute() {
        let row = |mode: &str, gflops, steps_ms| InpaintEvalRow {
            name: "m".into(),
            hole: 10,
            mode: mode.into(),
            object: Share { hits: 3, asked: 4 },
            context: Share::default(),
            all: Share::default(),
            seam: 1.0,
            difference: 0.5,
            in_focus: 0.25,
            gflops,
            steps_ms,
            latency_ms: 9.0,
        };
        let csv = csv(&[row("off", 2.0, 10.0), row("on", 0.8, 4.5)]);
        assert_eq!(csv.lines().nth(2).unwrap(), "m,on,10,25.0,75.0,21.7,0.0,0.0,1.00,0.50,0.800,40.0,4.5,45.0,9.0");
        assert_eq!(text(&[row("on", 0.8, 4.5)]).lines().count(), 2);
    }
}
