//! Words beside points, none over another: the nearest free place around each point, most important
//! first. It knows boxes, not letters: a character is taken to be as wide as an average one.

/// Width of a character and height of a line at the charts' size of text, pixels.
const CHARACTER: f64 = 6.9;
const LINE: f64 = 14.0;

/// A rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl Area {
    /// Around a point.
    fn around(x: f64, y: f64, far: f64) -> Area {
        Area { left: x - far, top: y - far, right: x + far, bottom: y + far }
    }
    pub(super) fn meets(&self, other: &Area) -> bool {
        self.left < other.right
            && other.left < self.right
            && self.top < other.bottom
            && other.top < self.bottom
    }
    fn holds(&self, other: &Area) -> bool {
        self.left <= other.left
            && self.right >= other.right
            && self.top <= other.top
            && self.bottom >= other.bottom
    }
}

#[expect(clippy::cast_precision_loss, reason = "a label has few characters")]
fn width(words: &str) -> f64 {
    words.chars().count() as f64 * CHARACTER
}

/// A place for each label `(x, y, words)`, inside `frame`. Labels come most important first; one that
/// finds no free place takes the last one tried.
pub(super) fn place(labels: &[(f64, f64, String)], frame: Area) -> Vec<Area> {
    let points: Vec<Area> = labels.iter().map(|(x, y, _)| Area::around(*x, *y, 5.0)).collect();
    let mut placed: Vec<Area> = Vec::new();
    for (x, y, words) in labels {
        let (wide, mut chosen) = (width(words), None);
        for area in candidates(*x, *y, wide) {
            chosen = Some(area);
            let free = |other: &Area| !area.meets(other);
            if frame.holds(&area) && points.iter().all(free) && placed.iter().all(free) {
                break;
            }
        }
        placed.extend(chosen);
    }
    placed
}

/// Places around a point: right, left, above, below, then further and further out.
fn candidates(x: f64, y: f64, wide: f64) -> impl Iterator<Item = Area> {
    (0_u32..60).flat_map(move |ring| {
        let far = 8.0 + f64::from(ring) * 11.0;
        let middle = y - LINE / 2.0;
        [
            (x + far, middle),
            (x - far - wide, middle),
            (x - wide / 2.0, y - far - LINE),
            (x - wide / 2.0, y + far),
            (x + far, y - far - LINE),
            (x + far, y + far),
            (x - far - wide, y - far - LINE),
            (x - far - wide, y + far),
        ]
        .map(|(left, top)| Area { left, top, right: left + wide, bottom: top + LINE })
    })
}

/// Heights for labels at the end of lines: in the order given, at least a line apart, as near to where
/// they belong as that allows, between `top` and `bottom`.
pub(super) fn stack(wanted: &[f64], top: f64, bottom: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut heights = wanted.to_vec();
    let mut free = top;
    for at in &order {
        heights[*at] = heights[*at].max(free);
        free = heights[*at] + LINE;
    }
    let mut free = bottom;
    for at in order.iter().rev() {
        heights[*at] = heights[*at].min(free);
        free = heights[*at] - LINE;
    }
    heights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_crowd_do_not_overlap_and_stay_inside() {
        let frame = Area { left: 0.0, top: 0.0, right: 800.0, bottom: 400.0 };
        let crowd = |(x, y): (f64, f64)| {
            (0..14_u32)
                .map(move |n| (x + f64::from(n % 3), y, format!("policy-number-{n}")))
                .collect()
        };
        for at in [(400.0, 200.0), (780.0, 390.0), (5.0, 5.0)] {
            let labels: Vec<(f64, f64, String)> = crowd(at);
            let placed = place(&labels, frame);
            assert_eq!(placed.len(), labels.len());
            for (number, area) in placed.iter().enumerate() {
                assert!(frame.holds(area), "{at:?}: label {number} is outside");
                let over = placed[..number].iter().position(|other| area.meets(other));
                assert_eq!(over, None, "{at:?}: label {number}");
            }
        }
    }

    #[test]
    fn words_at_the_ends_of_lines_keep_a_line_between_them() {
        let heights = stack(&[100.0, 101.0, 99.0, 300.0, 300.0], 0.0, 306.0);
        let mut sorted = heights.clone();
        sorted.sort_by(f64::total_cmp);
        assert!(sorted.windows(2).all(|pair| pair[1] - pair[0] >= LINE - 1e-9), "{heights:?}");
        assert!(sorted[0] >= 0.0 && sorted[4] <= 306.0, "{heights:?}");
        assert!(
            heights[2] < heights[0] && heights[0] < heights[1],
            "the order changed: {heights:?}"
        );
    }
}
