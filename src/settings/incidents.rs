//! `INCIDENTS`: what happens in a run, and when.

use std::time::Duration;

use super::parse::{self, Refusal};
use super::{SettingError, Settings, suggest};
use crate::workload::Name;
use crate::workload::incidents::{GpuPattern, Incident, IncidentKind, Start};
use crate::workload::seed::Seed;

/// Most incidents in a run.
const MOST: usize = 256;

/// Reads `kind[=PARAMETER]@START/LENGTH[:HOST/GPU]`, separated by commas.
pub(super) fn incidents(text: &str) -> Result<Vec<Incident>, Refusal> {
    let parts: Vec<_> = text.split(',').collect();
    if parts.len() > MOST {
        return Err(format!("it has {} incidents, and {MOST} are the most", parts.len()).into());
    }
    parts.into_iter().map(incident).collect()
}

fn incident(text: &str) -> Result<Incident, Refusal> {
    let refuse = |problem: String| Refusal::from(format!("in {text:?}, {problem}"));
    let read = || {
        let (kind, interval) = text.split_once('@').ok_or("\"@\" is missing behind the kind")?;
        let (kind, parameter) = kind_of(kind)?;
        let (start, rest) = interval
            .split_once('/')
            .ok_or_else(|| format!("\"/\" is missing between START and LENGTH in {interval:?}"))?;
        let (length, gpus) = match rest.split_once(':') {
            None => (rest, GpuPattern::all()),
            Some((length, gpus)) => (length, gpus_of(kind, gpus)?),
        };
        let (start, length) = (start_of(start)?, duration("LENGTH", length)?);
        if length.is_zero() {
            return Err("LENGTH is 0; it is at least 1ms".into());
        }
        Ok(Incident { kind, parameter, start, length, gpus, text: text.to_owned() })
    };
    read().map_err(|problem: String| refuse(problem))
}

impl Settings {
    /// Refuses incidents that could not be told from the rest of the run.
    pub(super) fn check_incidents(&self) -> Result<(), SettingError> {
        let Some(incidents) = &self.incidents else { return Ok(()) };
        let refuse = |because: &str| Err(self.refuse("INCIDENTS", because.into()));
        if self.sleep.is_zero() {
            return refuse("SLEEP_SEC is 0, so no time passes in which anything could happen");
        }
        if self.event_start.is_none() && !self.waits() {
            return refuse(
                "without EVENT_START events have the time of the clock, and with PACE=none \
                           no pair waits for it",
            );
        }
        let needs_load = incidents.iter().find(|incident| incident.kind.needs_load());
        if let Some(incident) = needs_load.filter(|_| self.workload == Name::Uniform) {
            let text = &incident.text;
            return refuse(&format!("{text:?} needs a load, and WORKLOAD=uniform has none"));
        }
        let hosts = self.hostname.names();
        let no_host = |incident: &&Incident| !hosts.iter().any(|host| incident.gpus.has_host(host));
        match incidents.iter().find(no_host) {
            None => Ok(()),
            Some(incident) => {
                let text = &incident.text;
                refuse(&format!("the host of {text:?} is none of HOSTNAME, {}", self.hostname))
            }
        }
    }

    /// Refuses incidents that are about no GPU of the seed.
    ///
    /// # Errors
    /// [`SettingError`], which names the incident.
    pub fn check_incident_gpus(&self, seed: &Seed) -> Result<(), SettingError> {
        let incidents = self.incidents.iter().flatten();
        let has_gpu = |incident: &&Incident| {
            seed.rows.iter().any(|row| incident.gpus.has_index(row.gpu_index))
        };
        match incidents.into_iter().find(|incident| !has_gpu(incident)) {
            None => Ok(()),
            Some(incident) => {
                let text = &incident.text;
                let because = format!("no GPU of the seed has the index in {text:?}");
                Err(self.refuse("INCIDENTS", because))
            }
        }
    }
}

/// A kind, and what it is told.
fn kind_of(text: &str) -> Result<(IncidentKind, f64), String> {
    let (word, value) = text.split_once('=').map_or((text, None), |(w, v)| (w, Some(v)));
    let Some(kind) = IncidentKind::ALL.into_iter().find(|kind| kind.word() == word) else {
        return Err(suggest::no_kind(word, IncidentKind::WORDS.into_iter()));
    };
    let parameter = match (kind.parameter(), value) {
        (None, None) => 0.0,
        (None, Some(value)) => return Err(format!("{word} takes no parameter, but has {value:?}")),
        (Some(parameter), None) => parameter.default,
        (Some(parameter), Some(value)) => {
            let number =
                value.parse().ok().filter(|n| (parameter.least..=parameter.most).contains(n));
            number.ok_or_else(|| {
                format!(
                    "the parameter {value:?} of {word} is not a number from {} to {} ({})",
                    parameter.least, parameter.most, parameter.meaning
                )
            })?
        }
    };
    Ok((kind, parameter))
}

fn start_of(text: &str) -> Result<Start, String> {
    if let Some(offset) = text.strip_prefix('+') {
        return Ok(Start::After(duration("the offset", offset)?));
    }
    let instant = parse::instant(text).map_err(|refusal| match refusal.because() {
        Some(because) => format!("START {text:?} is not valid: {because}"),
        None => format!(
            "START {text:?} is neither +offset, as in +10m, nor an RFC 3339 time, as in \
             2026-01-01T00:00:00Z"
        ),
    })?;
    Ok(Start::At(instant))
}

/// A time as other settings take it, in whole milliseconds.
fn duration(what: &str, text: &str) -> Result<Duration, String> {
    let length = parse::time(text).ok_or_else(|| {
        format!("{what} {text:?} is not a time of at most 365d, as in 90, 500ms or 10m")
    })?;
    // Event times have milliseconds.
    if length.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("{what} {text:?} is not whole milliseconds"));
    }
    Ok(length)
}

fn gpus_of(kind: IncidentKind, text: &str) -> Result<GpuPattern, String> {
    let word = kind.word();
    if !kind.has_gpus() {
        return Err(format!("{word} is about all GPUs, but names {text:?}"));
    }
    let (host, index) = text.split_once('/').unwrap_or((text, "*"));
    if let Some(c) = host.chars().find(|c| !c.is_ascii_alphanumeric() && !"._-*".contains(*c)) {
        return Err(format!("HOST of {text:?} has {c:?}; a host's name and * are all it can have"));
    }
    if let Some(c) = index.chars().find(|c| !c.is_ascii_digit() && *c != '*') {
        return Err(format!("GPU of {text:?} has {c:?}; an index and * are all it can have"));
    }
    if host.is_empty() || index.is_empty() {
        return Err(format!("{text:?} is not HOST/GPU, as in vm4/0, vm*/0 or */3"));
    }
    if kind == IncidentKind::ExporterSilent && index != "*" {
        return Err(format!("{word} is about whole hosts, but names the GPU {index:?}"));
    }
    Ok(GpuPattern { host: host.to_owned(), index: index.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Incident {
        incidents(text).unwrap().remove(0)
    }

    #[test]
    fn an_incident_has_a_kind_an_interval_and_gpus() {
        let throttle = read("throttle=0.6@+10m/5m:vm*/0");
        assert_eq!((throttle.kind, throttle.parameter), (IncidentKind::Throttle, 0.6));
        assert_eq!(throttle.start, Start::After(Duration::from_secs(600)));
        assert_eq!(throttle.length, Duration::from_secs(300));
        assert_eq!(throttle.gpus.to_string(), "vm*/0");
        let lost = read("gpu-lost@2026-01-01T00:10:00+02:00/90:*/3");
        assert_eq!(lost.start, Start::At("2025-12-31T22:10:00Z".parse().unwrap()));
        assert_eq!((lost.length, lost.gpus.to_string()), (Duration::from_secs(90), "*/3".into()));
        let two = incidents("surge@+0/1.5s,exporter-silent@+500ms/1h:vm4").unwrap();
        assert_eq!((two[0].parameter, two[0].length), (3.0, Duration::from_millis(1500)));
        assert_eq!(two[0].gpus, GpuPattern::all());
        assert_eq!(two[1].start, Start::After(Duration::from_millis(500)));
        assert_eq!(two[1].gpus.to_string(), "vm4/*");
    }

    #[track_caller]
    fn is_refused(text: &str, problem: &str) {
        let refusal = incidents(text).unwrap_err().to_string();
        assert_eq!(refusal, format!("in {text:?}, {problem}"));
    }

    #[test]
    fn what_is_wrong_with_a_kind_or_its_parameter_is_said() {
        for (text, problem) in [
            ("throtle@+1m/1m", "there is no kind \"throtle\"; the nearest is throttle"),
            (
                "overheat@+1m/1m",
                "there is no kind \"overheat\"; the kinds are throttle, gpu-lost, ecc-restart, \
                 noisy-neighbour, surge, stuck-gauge, exporter-silent",
            ),
            ("gpu_lost@+1m/1m", "there is no kind \"gpu_lost\"; the nearest is gpu-lost"),
            ("throttle", "\"@\" is missing behind the kind"),
            ("throttle@+1m", "\"/\" is missing between START and LENGTH in \"+1m\""),
            (
                "throttle=2@+1m/1m",
                "the parameter \"2\" of throttle is not a number from 0.2 to 0.95 (power limit, share \
                 of what the GPU draws when it decodes)",
            ),
            (
                "surge=x@+1m/1m",
                "the parameter \"x\" of surge is not a number from 1.1 to 100 (how many times as many \
                 requests come)",
            ),
            (
                "noisy-neighbour=NaN@+1m/1m",
                "the parameter \"NaN\" of noisy-neighbour is not a number from 0.05 to 0.9 (share of \
                 the GPU's time that the neighbour takes)",
            ),
            ("gpu-lost=1@+1m/1m", "gpu-lost takes no parameter, but has \"1\""),
        ] {
            is_refused(text, problem);
        }
    }

    #[test]
    fn what_is_wrong_with_an_interval_or_its_gpus_is_said() {
        for (text, problem) in [
            (
                "throttle@10m/1m",
                "START \"10m\" is neither +offset, as in +10m, nor an RFC 3339 time, as in \
                 2026-01-01T00:00:00Z",
            ),
            (
                "throttle@1969-01-01T00:00:00Z/1m",
                "START \"1969-01-01T00:00:00Z\" is not valid: it is before 1970",
            ),
            (
                "throttle@+1x/1m",
                "the offset \"1x\" is not a time of at most 365d, as in 90, 500ms or 10m",
            ),
            (
                "throttle@+1m/-1m",
                "LENGTH \"-1m\" is not a time of at most 365d, as in 90, 500ms or 10m",
            ),
            ("throttle@+1m/0", "LENGTH is 0; it is at least 1ms"),
            ("throttle@+1m/0.5ms", "LENGTH \"0.5ms\" is not whole milliseconds"),
            (
                "throttle@+1m/366d",
                "LENGTH \"366d\" is not a time of at most 365d, as in 90, 500ms or 10m",
            ),
            (
                "throttle@+1m/1m:vm4/x",
                "GPU of \"vm4/x\" has 'x'; an index and * are all it can have",
            ),
            (
                "throttle@+1m/1m:vm?/0",
                "HOST of \"vm?/0\" has '?'; a host's name and * are all it can have",
            ),
            ("throttle@+1m/1m:", "\"\" is not HOST/GPU, as in vm4/0, vm*/0 or */3"),
            ("throttle@+1m/1m:vm4/", "\"vm4/\" is not HOST/GPU, as in vm4/0, vm*/0 or */3"),
            ("surge@+1m/1m:vm4/0", "surge is about all GPUs, but names \"vm4/0\""),
            (
                "exporter-silent@+1m/1m:vm4/0",
                "exporter-silent is about whole hosts, but names the GPU \"0\"",
            ),
            ("", "\"@\" is missing behind the kind"),
        ] {
            is_refused(text, problem);
        }
    }

    #[test]
    fn the_incident_of_several_that_is_wrong_is_named_and_their_number_bounded() {
        let second = incidents("surge@+0/1s,surge").unwrap_err().to_string();
        assert_eq!(second, "in \"surge\", \"@\" is missing behind the kind");
        let many = incidents(&"surge@+0/1s,".repeat(300)).unwrap_err().to_string();
        assert_eq!(many, "it has 301 incidents, and 256 are the most");
    }

    proptest! {
        #[test]
        fn any_text_is_taken_or_refused_without_a_panic(
            text in "(throttle|surge|gpu-lost)?[=@+/:,*0-9a-z.é-]{0,24}"
        ) {
            let _read_or_refused = incidents(&text);
        }
    }
}
