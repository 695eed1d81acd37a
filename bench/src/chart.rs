//! Plots: bars with the spread of the rounds and a mark where the goal is.

use std::fmt::Write as _;

use crate::finding::{Finding, Goal, figure};

const WIDTH: f64 = 860.0;
const ROW: f64 = 26.0;
/// Where bars begin and end.
const LEFT: f64 = 400.0;
const RIGHT: f64 = 780.0;
const TOP: f64 = 44.0;

/// A bar and what lies around it, all in one unit.
struct Bar<'a> {
    label: &'a str,
    value: f64,
    spread: [f64; 2],
    goal: Option<f64>,
    met: Option<bool>,
    text: String,
}

/// Every ratio that a goal is about, on a logarithmic axis: half and double are equally far from one.
pub(crate) fn ratios(all: &[Finding]) -> String {
    let bars: Vec<Bar<'_>> = all
        .iter()
        .filter(|found| !found.goal.is_of_value())
        .filter_map(|found| {
            let ratio = found.ratio.filter(|ratio| ratio.is_finite() && *ratio > 0.0)?;
            let text = format!("{}×", figure(ratio));
            let goal = found.goal.ratio();
            Some(Bar { label: &found.name, value: ratio, spread: found.spread, goal, met: found.met, text })
        })
        .collect();
    let ends = bars
        .iter()
        .flat_map(|bar| [bar.value, bar.spread[0], bar.spread[1]])
        .chain(bars.iter().filter_map(|bar| bar.goal));
    let (least, most) = ends.fold((0.5_f64, 2.0_f64), |(least, most), end| (least.min(end), most.max(end)));
    let (low, high) = (least.max(1e-3).ln(), most.ln());
    let place = move |value: f64| LEFT + (value.max(1e-3).ln() - low) / (high - low) * (RIGHT - LEFT);
    draw("Ratio to what it is measured against", &bars, place(1.0), place)
}

/// Figures with a bound of their own, each as a part of it.
pub(crate) fn figures(all: &[Finding]) -> String {
    let bars: Vec<Bar<'_>> = all
        .iter()
        .filter_map(|found| {
            let (Goal::AtLeast(bound) | Goal::AtMost(bound)) = found.goal else { return None };
            let text = format!("{} {}", figure(found.value), found.unit);
            let spread = found.spread.map(|end| end / bound);
            let value = found.value / bound;
            Some(Bar { label: &found.name, value, spread, goal: Some(1.0), met: found.met, text })
        })
        .collect();
    let most = bars.iter().flat_map(|bar| [bar.value, bar.spread[1]]).fold(1.5_f64, f64::max).min(4.0);
    let place = move |value: f64| LEFT + value.min(most) / most * (RIGHT - LEFT);
    draw("Part of the bound that was set", &bars, LEFT, place)
}

fn draw(title: &str, bars: &[Bar<'_>], from: f64, place: impl Fn(f64) -> f64) -> String {
    let height = TOP + ROW * bars.len() as f64 + 12.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"12\" y=\"24\" font-size=\"15\" fill=\"#1f2933\">{title}</text>\n\
         <line x1=\"{from:.1}\" x2=\"{from:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#9aa5b1\"/>\n",
        TOP - 8.0,
        height - 8.0
    );
    for (index, bar) in bars.iter().enumerate() {
        row(&mut svg, TOP + ROW * index as f64, bar, from, &place);
    }
    svg + "</svg>\n"
}

fn row(svg: &mut String, top: f64, bar: &Bar<'_>, from: f64, place: &impl Fn(f64) -> f64) {
    let (at, middle) = (place(bar.value), top + ROW / 2.0 - 4.0);
    let colour = match bar.met {
        Some(true) => "#2f855a",
        Some(false) => "#c05621",
        None => "#627d98",
    };
    let [least, most] = bar.spread.map(place);
    // Writing to a text cannot fail.
    let _ = write!(
        svg,
        "<text x=\"12\" y=\"{:.1}\" fill=\"#1f2933\">{}</text>\n\
         <rect x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\" rx=\"2\"/>\n\
         <path d=\"M{least:.1} {middle:.1}H{most:.1}M{least:.1} {:.1}v8M{most:.1} {:.1}v8\" stroke=\"#1f2933\" fill=\"none\"/>\n\
         <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1f2933\">{}</text>\n",
        middle + 4.0,
        escaped(bar.label),
        at.min(from),
        (at - from).abs().max(1.0),
        ROW - 8.0,
        middle - 4.0,
        middle - 4.0,
        at.max(most).max(from) + 6.0,
        middle + 4.0,
        escaped(&bar.text),
    );
    if let Some(goal) = bar.goal.map(place) {
        let _ = writeln!(
            svg,
            "<line x1=\"{goal:.1}\" x2=\"{goal:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#1f2933\" stroke-width=\"2\" stroke-dasharray=\"3 2\"/>",
            top - 3.0,
            top + ROW - 5.0
        );
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_shows_every_ratio_with_its_goal() {
        let found = Finding::compared(
            "p99 < raw & all",
            "/s",
            "raw",
            [(90.0, 100.0), (80.0, 100.0)],
            Goal::RatioAtLeast(0.85),
        );
        let svg = ratios(&[found, Finding::alone("alone", "ms", [1.0], Goal::AtMost(2.0))]);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        assert!(svg.contains("p99 &lt; raw &amp; all") && !svg.contains("alone"), "{svg}");
        assert!(svg.contains("0.85×") && svg.contains("stroke-dasharray"), "{svg}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn without_anything_to_show_a_plot_is_empty_and_whole() {
        for svg in [ratios(&[]), figures(&[])] {
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
        }
    }
}
