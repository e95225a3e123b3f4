//! The evaluation's rows as a text table, as CSV, and as a plot of accuracy over cost.

use super::EvalRow;

/// Columns in front of the marks, and behind them.
const BEFORE: [&str; 5] = ["bundle", "compression", "skipped %", "prompt %", "± %"];
const BEHIND: [&str; 6] = ["Fréchet", "seam", "sharpness", "GFLOPs", "latency ms", "peak MiB"];

/// A row's cells under the headings; empty where there is nothing to tell.
fn cells(row: &EvalRow) -> Vec<String> {
    let of_cost = |value: fn(&super::Cost) -> String| row.cost.as_ref().map(value).unwrap_or_default();
    let ratio = |value: Option<f64>| value.map_or(String::new(), |v| format!("{v:.2}"));
    let prompt = row.accuracy.prompt();
    let mut cells = vec![
        row.name.clone(),
        row.compression.clone(),
        of_cost(|c| format!("{:.1}", 100.0 * c.skipped)),
        format!("{:.1}", prompt.percent()),
        format!("{:.1}", prompt.error()),
    ];
    cells.extend(row.accuracy.shares().iter().skip(1).map(|(_, share)| match share.asked {
        0 => String::new(),
        _ => format!("{:.1}", share.percent()),
    }));
    cells.extend([
        format!("{:.4}", row.frechet),
        ratio(row.seam),
        ratio(row.sharpness),
        of_cost(|c| format!("{:.3}", c.gflops_per_image)),
        of_cost(|c| format!("{:.1}", c.latency_ms)),
        of_cost(|c| c.peak_mib.map_or(String::new(), |mib| format!("{mib:.0}"))),
    ]);
    cells
}

fn table(rows: &[EvalRow]) -> Vec<Vec<String>> {
    let marks = rows.first().map_or(&[][..], |row| row.accuracy.shares()).iter().skip(1);
    let headings = BEFORE.iter().map(|h| (*h).to_owned()).chain(marks.map(|(mark, _)| format!("{mark} %")));
    let headings = headings.chain(BEHIND.iter().map(|h| (*h).to_owned())).collect();
    std::iter::once(headings).chain(rows.iter().map(cells)).collect()
}

/// What the judge said of every prompt, under the names of the marks: 1 for recognised, 0 for not, nothing where it was not asked.
pub fn verdicts(marks: &[&str], verdicts: &[(String, Vec<Option<bool>>)]) -> String {
    let digit = |hit: &Option<bool>| hit.map_or("", |hit| if hit { "1" } else { "0" });
    let line = |(prompt, marks): &(String, Vec<Option<bool>>)| {
        format!("{prompt},{}\n", marks.iter().map(digit).collect::<Vec<_>>().join(","))
    };
    let names: Vec<&str> = marks.iter().enumerate().map(|(i, mark)| if i == 0 { "all" } else { mark }).collect();
    format!("prompt,{}\n{}", names.join(","), verdicts.iter().map(line).collect::<String>())
}

/// Aligned columns; words to the left, numbers to the right.
pub fn text(rows: &[EvalRow]) -> String {
    let table = table(rows);
    let width =
        |column: usize| table.iter().filter_map(|r| r.get(column)).map(|c| c.chars().count()).max().unwrap_or(0);
    let line = |row: &Vec<String>| {
        let aligned = row.iter().enumerate().map(|(i, cell)| {
            let width = width(i);
            if i < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        aligned.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// RFC 4180, with headings.
pub fn csv(rows: &[EvalRow]) -> String {
    let quoted = |cell: &String| match cell.contains(['"', ',', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.clone(),
    };
    let line = |row: &Vec<String>| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
    table(rows).iter().map(line).collect()
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
const MARGIN: f64 = 60.0;

/// Prompt accuracy, with its standard error, over GFLOPs per image, as SVG; rows without a cost are left out.
pub fn svg(rows: &[EvalRow]) -> String {
    let points: Vec<(&EvalRow, f64)> = rows.iter().filter_map(|r| r.cost.map(|c| (r, c.gflops_per_image))).collect();
    let most = points.iter().map(|p| p.1).fold(0.0, f64::max).max(1e-9) * 1.15;
    let x = |gflops: f64| MARGIN + gflops / most * (WIDTH - 2.0 * MARGIN);
    let y = |percent: f64| HEIGHT - MARGIN - percent / 100.0 * (HEIGHT - 2.0 * MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let mut put = |line: String| svg.push_str(&(line + "\n"));
    for percent in [0.0, 25.0, 50.0, 75.0, 100.0] {
        let at = y(percent);
        put(format!("<path d=\"M{MARGIN} {at:.1}H{}\" stroke=\"#ddd\"/>", WIDTH - MARGIN));
        put(format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{percent:.0} %</text>", MARGIN - 8.0, at + 4.0));
    }
    for i in 0..=4 {
        let gflops = most * f64::from(i) / 4.0;
        let at = HEIGHT - MARGIN + 18.0;
        put(format!("<text x=\"{:.1}\" y=\"{at}\" text-anchor=\"middle\">{gflops:.2}</text>", x(gflops)));
    }
    for (row, gflops) in points {
        let (share, across) = (row.accuracy.prompt(), x(gflops));
        let (low, high) = (y(share.percent() - share.error()), y(share.percent() + share.error()));
        put(format!("<path d=\"M{across:.1} {low:.1}V{high:.1}\" stroke=\"#2255aa\"/>"));
        put(format!("<circle cx=\"{across:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"#2255aa\"/>", y(share.percent())));
        let label = escaped(&format!("{} {}", row.name, row.compression));
        put(format!("<text x=\"{:.1}\" y=\"{:.1}\">{label}</text>", across + 7.0, y(share.percent()) - 6.0));
    }
    let (middle, below) = (WIDTH / 2.0, HEIGHT - 14.0);
    put(format!("<text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">GFLOPs per image</text>"));
    put(format!("<text x=\"{middle}\" y=\"28\" text-anchor=\"middle\">Prompt accuracy over cost</text>"));
    svg + "</svg>\n"
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::{Accuracy, Cost};
    use super::*;

    fn rows() -> Vec<EvalRow> {
        let mut accuracy = Accuracy::new(&["prompt", "color"]);
        (0..100).for_each(|i| accuracy.add(&[Some(i < 90), None]));
        let cost = Cost { skipped: 0.3, gflops_per_image: 1.5, latency_ms: 20.0, peak_mib: None };
        let row = |name: &str, cost| EvalRow {
            name: name.into(),
            compression: "learned".into(),
            accuracy: accuracy.clone(),
            frechet: 0.5,
            seam: Some(1.25),
            sharpness: None,
            cost,
        };
        vec![row("true", None), row("a,\"b\"<c>", Some(cost))]
    }

    #[test]
    fn the_table_is_aligned_and_quoted() {
        let text = text(&rows());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines[0].ends_with("latency ms  peak MiB") && lines[2].ends_with("1.500        20.0"), "{text}");
        let csv = csv(&rows());
        assert!(csv.lines().nth(2).unwrap().starts_with("\"a,\"\"b\"\"<c>\",learned,30.0,90.0,3.0,"), "{csv}");
    }

    #[test]
    fn what_was_not_asked_stays_empty() {
        let csv =
            verdicts(&["prompt", "color", "place"], &[("a red circle".into(), vec![Some(true), Some(false), None])]);
        assert_eq!(csv, "prompt,all,color,place\na red circle,1,0,\n");
    }

    #[test]
    fn the_plot_has_a_point_for_every_cost() {
        let svg = svg(&rows());
        assert_eq!(svg.matches("<circle").count(), 1);
        assert!(svg.contains("a,&quot;b&quot;&lt;c&gt; learned") && !svg.contains("NaN"));
        // 90 % of 280 px above the axis.
        assert!(svg.contains("cy=\"88.0\""), "{svg}");
    }
}
