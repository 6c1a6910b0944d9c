//! What a drill came to: its exit code, and the report among its log lines.

use serde_json::Value;

/// A drill that ended.
pub struct Judged {
    pub exit_code: i64,
    /// stdout and stderr together, as a pod's log has them.
    pub log: String,
}

impl Judged {
    #[track_caller]
    pub fn report(&self) -> Value {
        self.find_report().unwrap_or_else(|| panic!("no report\n{self}"))
    }

    /// From the line that is `{` to the line that is `}`. A pod's log puts lines of stderr between them, which are
    /// never indented.
    fn find_report(&self) -> Option<Value> {
        let lines: Vec<&str> = self.log.lines().filter(|line| line.starts_with([' ', '{', '}'])).collect();
        let first = lines.iter().rposition(|line| *line == "{")?;
        let length = lines[first..].iter().position(|line| *line == "}")?;
        serde_json::from_str(&lines[first..=first + length].join("\n")).ok()
    }

    #[track_caller]
    pub fn passes(&self) -> Value {
        self.is("PASS", 0)
    }

    /// FAIL, with this code blamed on the backups.
    #[track_caller]
    pub fn fails(&self, code: &str) -> Value {
        self.is("FAIL", 1);
        let finding = self.finding(code, "failed");
        assert_eq!(finding["blame"], "backups", "{self}");
        finding
    }

    /// INCONCLUSIVE, with this code failed by something other than the backups.
    #[track_caller]
    pub fn is_inconclusive(&self, code: &str) -> Value {
        self.is("INCONCLUSIVE", 2);
        let finding = self.finding(code, "failed");
        assert_ne!(finding["blame"], "backups", "{self}");
        finding
    }

    /// This verdict and exit code; gives the report.
    #[track_caller]
    pub fn is(&self, verdict: &str, exit_code: i64) -> Value {
        let report = self.report();
        assert_eq!((report["verdict"].as_str(), self.exit_code), (Some(verdict), exit_code), "{self}");
        assert_eq!(report["left_behind"], serde_json::json!([]), "{self}");
        report
    }

    #[track_caller]
    pub fn finding(&self, code: &str, outcome: &str) -> Value {
        let report = self.report();
        let mut findings = report["findings"].as_array().expect("a report has findings").iter();
        let found = findings.find(|finding| finding["code"] == code && finding["outcome"] == outcome);
        found.unwrap_or_else(|| panic!("no {outcome} finding {code}\n{self}")).clone()
    }

    /// How long the phases of these names took together, in milliseconds.
    #[track_caller]
    pub fn milliseconds(&self, names: &[&str]) -> u64 {
        let report = self.report();
        let phases = report["restore"]["phases"].as_array().unwrap_or_else(|| panic!("no phases\n{self}"));
        let took = |name: &str| {
            let phase = phases.iter().find(|phase| phase["name"] == name);
            phase.unwrap_or_else(|| panic!("no phase {name}\n{self}"))["duration_ms"].as_u64().unwrap()
        };
        names.iter().map(|name| took(name)).sum()
    }
}

/// What decided first, then everything.
impl std::fmt::Display for Judged {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "exit code {}", self.exit_code)?;
        if let Some(report) = self.find_report() {
            let findings = report["findings"].as_array().into_iter().flatten();
            for finding in findings.filter(|finding| finding["outcome"] != "passed") {
                writeln!(formatter, "{finding}")?;
            }
        }
        write!(formatter, "{}", self.log)
    }
}
