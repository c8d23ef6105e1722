//! The units of figures, and their display.

/// The unit of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Nanoseconds.
    Time,
    /// Nanoseconds of one of so many, from nanoseconds for all of them.
    TimeOfEach(u64),
    /// Bytes a second, from nanoseconds for this many bytes.
    Throughput(u64),
    /// Bytes.
    Bytes,
    /// Calls a second.
    Rate,
    /// A ratio, of which more is better.
    Factor,
}

impl Unit {
    /// Converts a figure from the driver's unit to the unit of display.
    pub(crate) fn value(self, figure: f64) -> f64 {
        match self {
            Self::Time | Self::Bytes | Self::Rate | Self::Factor => figure,
            Self::TimeOfEach(count) => figure / count as f64,
            Self::Throughput(bytes) => bytes as f64 / figure * 1e9,
        }
    }

    /// True if more is better.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput(_) | Self::Rate | Self::Factor)
    }

    /// The name of the unit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Time | Self::TimeOfEach(_) => "ns",
            Self::Throughput(_) => "bytes per second",
            Self::Bytes => "bytes",
            Self::Rate => "calls per second",
            Self::Factor => "",
        }
    }

    /// The ratio of `value` to `other`, above 1 if `value` is better.
    pub(crate) fn better(self, value: f64, other: f64) -> f64 {
        if self.more_is_better() { value / other } else { other / value }
    }

    /// A value for display, with three digits.
    pub(crate) fn show(self, value: f64) -> String {
        let units: &[&str] = match self {
            Self::Time | Self::TimeOfEach(_) => &["ns", "us", "ms", "s"],
            Self::Throughput(_) => &["B/s", "KB/s", "MB/s", "GB/s"],
            Self::Bytes => &["B", "KB", "MB", "GB"],
            Self::Rate => &["/s", "K/s", "M/s"],
            Self::Factor => &[""],
        };
        let mut value = value;
        let mut unit = 0;
        while value >= 1000.0 && unit + 1 < units.len() {
            value /= 1000.0;
            unit += 1;
        }
        format!("{} {}", three_digits(value), units[unit]).trim_end().to_owned()
    }
}

/// A number with three digits, or more if its integer part has more.
pub(crate) fn three_digits(value: f64) -> String {
    let digits = if value >= 100.0 {
        0
    } else if value >= 10.0 {
        1
    } else if value >= 1.0 {
        2
    } else {
        3
    };
    format!("{value:.digits$}")
}
