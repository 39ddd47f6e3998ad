//! The hours of the day and the days of the week: how the rate of each workload rises and falls.

use std::sync::LazyLock;

use crate::workload::Name;
use crate::workload::math::{exp, ln};

/// Quarters of an hour in a day.
pub(in crate::workload) const QUARTERS: usize = 96;

/// Length of a quarter, s.
pub(in crate::workload) const QUARTER_SEC: i64 = 900;

/// Whether a day is one of the working week. The load of the two kinds has its own mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::workload) enum DayKind {
    /// Monday to Friday.
    Weekday,
    /// Saturday and Sunday.
    Weekend,
}

impl DayKind {
    /// Both kinds.
    pub(in crate::workload) const BOTH: [Self; 2] = [Self::Weekday, Self::Weekend];

    /// The kind of day (UTC) in which a second since 1970 lies.
    pub(in crate::workload) fn of(second: i64) -> Self {
        // 1970-01-01 was a Thursday: Saturday and Sunday are the days 2 and 3 after it.
        match second.div_euclid(86_400).rem_euclid(7) {
            2 | 3 => Self::Weekend,
            _ => Self::Weekday,
        }
    }

    /// 0 or 1, for tables by kind.
    pub(in crate::workload) fn index(self) -> usize {
        match self {
            Self::Weekday => 0,
            Self::Weekend => 1,
        }
    }
}

/// The rate of a workload by hour, relative to the mean of the day, and the mean of a weekend's day
/// relative to a weekday's.
struct Hours {
    weekday: [f64; 24],
    weekend: [f64; 24],
    weekend_over_weekday: f64,
}

/// Azure LLM inference trace 2024 (CC-BY-4.0): code, UTC.
const CODE: Hours = Hours {
    weekday: [
        0.703, 0.682, 0.640, 0.522, 0.417, 0.342, 0.295, 0.250, 0.232, 0.242, 0.260, 0.382, 0.700,
        1.193, 1.692, 1.816, 1.725, 1.989, 2.187, 2.231, 2.065, 1.520, 1.097, 0.821,
    ],
    weekend: [
        1.358, 1.327, 1.181, 1.143, 0.960, 0.776, 0.634, 0.439, 0.337, 0.303, 0.284, 0.395, 0.597,
        0.793, 0.986, 1.131, 1.232, 1.316, 1.462, 1.494, 1.504, 1.484, 1.484, 1.378,
    ],
    weekend_over_weekday: 0.323,
};

/// The same trace: conversation.
const CONVERSATION: Hours = Hours {
    weekday: [
        0.891, 0.972, 0.955, 0.793, 0.803, 0.873, 1.008, 1.086, 1.110, 1.081, 0.975, 1.029, 1.153,
        1.275, 1.338, 1.245, 1.132, 1.085, 1.081, 1.013, 0.921, 0.770, 0.692, 0.722,
    ],
    weekend: [
        0.884, 0.935, 0.932, 0.786, 0.771, 0.802, 0.821, 0.915, 0.943, 0.865, 0.919, 1.022, 1.096,
        1.218, 1.231, 1.275, 1.196, 1.172, 1.129, 1.058, 1.061, 1.016, 0.942, 1.011,
    ],
    weekend_over_weekday: 0.567,
};

/// Peak over trough of the one day of ServeGen's deepseek-r1 (Apache-2.0). Its hours are assumed to
/// be those of conversation, stretched.
const REASON_PEAK_TO_TROUGH: f64 = 4.9;

/// The week of a workload.
#[derive(Debug)]
pub(in crate::workload) struct Week {
    /// Rate by quarter of an hour relative to the mean of the day, by kind of day.
    shape: [[f64; QUARTERS]; 2],
    /// Its logarithm.
    ln_shape: [[f64; QUARTERS]; 2],
    /// Mean rate of a day, by its kind; the mean of a week is 1.
    level: [f64; 2],
}

impl Week {
    /// The week of a workload; `uniform` has none. That of long is assumed to be conversation's,
    /// that of agent to be code's: both are the same people at the same work.
    pub(in crate::workload) fn of(workload: Name) -> Option<&'static Self> {
        static CODE_WEEK: LazyLock<Week> = LazyLock::new(|| Week::new(&CODE, 1.0));
        static CHAT_WEEK: LazyLock<Week> = LazyLock::new(|| Week::new(&CONVERSATION, 1.0));
        static REASON_WEEK: LazyLock<Week> = LazyLock::new(|| {
            let [most, least] = [f64::max, f64::min]
                .map(|pick| CONVERSATION.weekday.into_iter().reduce(pick).unwrap_or(1.0));
            Week::new(&CONVERSATION, ln(REASON_PEAK_TO_TROUGH) / ln(most / least))
        });
        match workload {
            Name::Chat | Name::Long => Some(&CHAT_WEEK),
            Name::Code | Name::Agent => Some(&CODE_WEEK),
            Name::Reason => Some(&REASON_WEEK),
            Name::Uniform => None,
        }
    }

    /// A week whose hours are those of `hours`, to the power of `stretch`.
    fn new(hours: &Hours, stretch: f64) -> Self {
        let day = |hours: &[f64; 24]| {
            let hours = hours.map(|rate| exp(stretch * ln(rate)));
            let mean = hours.iter().sum::<f64>() / 24.0;
            // Linear between the middles of the hours.
            std::array::from_fn(|quarter| {
                let after_first_middle = (quarter + QUARTERS - 2) % QUARTERS;
                let (hour, into) = (after_first_middle / 4, after_first_middle % 4);
                let share = (into as f64 + 0.5) / 4.0;
                (hours[hour] + (hours[(hour + 1) % 24] - hours[hour]) * share) / mean
            })
        };
        let shape: [[f64; QUARTERS]; 2] = [day(&hours.weekday), day(&hours.weekend)];
        let weekday = 7.0 / (5.0 + 2.0 * hours.weekend_over_weekday);
        Self {
            ln_shape: shape.map(|day| day.map(ln)),
            shape,
            level: [weekday, weekday * hours.weekend_over_weekday],
        }
    }

    /// The rate in the quarter of an hour of a second since 1970. The mean of a week is 1.
    pub(in crate::workload) fn rate(&self, second: i64) -> f64 {
        let kind = DayKind::of(second).index();
        self.level[kind] * self.shape[kind][quarter(second)]
    }

    /// The logarithm of the rate relative to the mean of its day.
    pub(in crate::workload) fn ln_shape(&self, second: i64) -> f64 {
        self.ln_shape[DayKind::of(second).index()][quarter(second)]
    }

    /// Rate relative to the mean of the day and its logarithm, for each quarter of a day.
    pub(in crate::workload) fn quarters(&self, kind: DayKind) -> impl Iterator<Item = (f64, f64)> {
        let kind = kind.index();
        self.shape[kind].into_iter().zip(self.ln_shape[kind])
    }
}

/// The quarter of the day of a second since 1970.
fn quarter(second: i64) -> usize {
    usize::try_from(second.rem_euclid(86_400) / QUARTER_SEC).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(text: &str) -> i64 {
        text.parse::<jiff::Timestamp>().unwrap().as_second()
    }

    fn mean_of_day(week: &Week, midnight: i64) -> f64 {
        (0..96).map(|quarter| week.rate(midnight + quarter * QUARTER_SEC)).sum::<f64>() / 96.0
    }

    #[test]
    fn the_mean_of_a_week_is_one_and_a_sunday_is_quieter_than_a_wednesday() {
        for (name, weekend) in [(Name::Code, 0.323), (Name::Chat, 0.567), (Name::Reason, 0.567)] {
            let week = Week::of(name).unwrap();
            let monday = second("2026-01-05T00:00:00Z");
            let days: Vec<f64> =
                (0..7).map(|day| mean_of_day(week, monday + day * 86_400)).collect();
            assert!((days.iter().sum::<f64>() / 7.0 - 1.0).abs() < 1e-9, "{days:?}");
            assert!((days[6] / days[2] - weekend).abs() < 1e-9, "{days:?}");
        }
    }

    #[test]
    fn the_hours_of_each_workload_have_the_peak_and_the_trough_of_their_trace() {
        let wednesday = second("2026-01-07T00:00:00Z");
        for (name, from, to) in
            [(Name::Code, 9.0, 9.7), (Name::Chat, 1.8, 1.94), (Name::Reason, 4.4, 4.9)]
        {
            let week = Week::of(name).unwrap();
            let hour = |hour: i64| {
                (0..4).map(|q| week.rate(wednesday + hour * 3600 + q * QUARTER_SEC)).sum::<f64>()
            };
            let hours: Vec<f64> = (0..24).map(hour).collect();
            let most = hours.iter().copied().fold(0.0, f64::max);
            let least = hours.iter().copied().fold(f64::MAX, f64::min);
            eprintln!("{}: peak over trough of a weekday {:.2}", name.word(), most / least);
            assert!((from..=to).contains(&(most / least)), "{}", most / least);
        }
    }
}
