//! The commands that look back: gate, report; and forget.

use std::io::IsTerminal;
use std::path::PathBuf;

use jiff::Timestamp;

use super::arguments::{HistoryArgs, OutputFormat, SourceArgs, SubjectArg};
use super::{EXIT_NOT_DONE, EXIT_OK, print};
use crate::config::units::Period;
use crate::error::{Error, Reason};
use crate::history::History;
use crate::history::store::Store;
use crate::kubernetes::Kubernetes;
use crate::plan::{self, Plan, Secrets};
use crate::publish::http::Service;
use crate::publish::pushgateway::{self, Group};
use crate::report::{Report, html, listing, markdown, text};
use crate::verdict::Subject;
use crate::{gate, json, whole_file};

/// What `walproof report` is to show, and where.
pub struct Wanted {
    pub command: SubjectArg,
    pub from: Option<PathBuf>,
    pub html: Option<PathBuf>,
    pub markdown: Option<PathBuf>,
    pub output: OutputFormat,
}

/// Exit code 0 only if a drill passed recently.
pub async fn gate(source: &SourceArgs, max_age: Period, history: &HistoryArgs) -> Result<u8, Error> {
    let plan = plan(source, history)?;
    let history = read(&plan, source).await?;
    let (text, code) = match gate::judge(&history, max_age.0, Timestamp::now()) {
        Ok(text) => (text, EXIT_OK),
        Err(text) => (text, EXIT_NOT_DONE),
    };
    print(&format!("{}: {text}\n", plan.source))?;
    Ok(code)
}

/// Shows the history on stdout, and writes the newest report where it was asked for.
pub async fn report(source: &SourceArgs, history: &HistoryArgs, wanted: &Wanted) -> Result<u8, Error> {
    let plan = plan(source, history)?;
    let history = match (&wanted.from, &plan.history) {
        (Some(_), None) => None,
        _ => Some(read(&plan, source).await?),
    };
    let report = match (&wanted.from, &history) {
        (Some(file), _) => Some(read_report(file)?),
        (None, Some(history)) => history.latest_report(subject(wanted.command)).cloned(),
        (None, None) => None,
    };
    for (file, page) in
        [(&wanted.html, html::page as fn(&Report, Option<&History>) -> String), (&wanted.markdown, markdown::note)]
    {
        let Some(file) = file else { continue };
        let doing = format!("write {}", file.display());
        let Some(report) = &report else {
            return Err(Error::new(doing)
                .because(Reason(format!(
                    "there is no finished {} of {} yet",
                    subject(wanted.command).as_str(),
                    plan.source
                )))
                .hint("run one with the same --state, or name a JSON report with --from"));
        };
        whole_file::write(file, &page(report, history.as_ref())).map_err(|error| Error::new(doing).because(error))?;
    }
    match (wanted.output, &history, &report) {
        (OutputFormat::Json, _, Some(report)) => print(&report.json())?,
        (OutputFormat::Json, Some(history), None) => print(&json::text(&history.runs))?,
        (OutputFormat::Text, Some(history), _) => print(&listing::text(history, std::io::stdout().is_terminal()))?,
        (OutputFormat::Text, None, Some(report)) => print(&text::render(report, std::io::stdout().is_terminal()))?,
        (_, None, None) => {}
    }
    Ok(EXIT_OK)
}

/// Removes what the Pushgateway has of this source.
pub async fn forget(source: &SourceArgs) -> Result<u8, Error> {
    let plan = source.plan(Secrets::LeaveUnread)?;
    let doing = format!("forget the metrics of {}", plan.source);
    let Some(endpoint) = &plan.publish.pushgateway else {
        return Err(Error::usage(doing)
            .because(Reason("the configuration names no Pushgateway".to_owned()))
            .hint("set `publish.pushgateway`"));
    };
    let failed = |error| Error::new(&doing).because(error).hint("does the Pushgateway answer from here?");
    let service = Service::new(endpoint).map_err(failed)?;
    for command in [Subject::Drill, Subject::Check] {
        let group = Group { command, namespace: plan.namespace.as_deref(), source: &plan.source };
        pushgateway::delete(&service, &group).await.map_err(failed)?;
    }
    print(&format!("{} has no metrics of {} any more\n", service.host(), plan.source))?;
    Ok(EXIT_OK)
}

fn plan(source: &SourceArgs, history: &HistoryArgs) -> Result<Plan, Error> {
    let mut plan = source.plan(Secrets::LeaveUnread)?;
    history.apply(&mut plan);
    Ok(plan)
}

async fn read(plan: &Plan, source: &SourceArgs) -> Result<History, Error> {
    let doing = format!("read the history of {}", plan.source);
    let Some(place) = &plan.history else {
        return Err(Error::usage(doing)
            .because(Reason("no history is kept".to_owned()))
            .hint("name its directory with --state, or set `history` in the configuration"));
    };
    let kubernetes = match place {
        plan::History::Directory(_) => None,
        plan::History::ConfigMaps { .. } => {
            let connected = Kubernetes::connect(source.impersonated()).await;
            Some(connected.map_err(|error| Error::new(doing).hint(error.hint()).because(error))?)
        }
    };
    Ok(Store::open(&plan.source, place, kubernetes.as_ref())?.read().await?)
}

fn read_report(file: &PathBuf) -> Result<Report, Error> {
    let doing = || format!("read the report {}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| Error::new(doing()).because(error))?;
    serde_json::from_str(&text).map_err(|error| {
        Error::new(doing()).because(error).hint("`walproof drill --output json` and `--report-file` write such a file")
    })
}

fn subject(command: SubjectArg) -> Subject {
    match command {
        SubjectArg::Drill => Subject::Drill,
        SubjectArg::Check => Subject::Check,
    }
}
