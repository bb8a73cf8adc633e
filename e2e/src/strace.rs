//! What a process asked of the kernel, in the order in which calls began and returned, read from
//! `strace -f -y -xx`. Only the calls that matter for durability are understood.
use std::collections::BTreeMap;

/// Words before the traced program.
#[must_use]
pub fn words(output: &str) -> Vec<String> {
    let calls = "trace=pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,ftruncate";
    ["strace", "-f", "-y", "-xx", "-s", "1000000", "-e", calls, "-o", output]
        .map(str::to_owned)
        .to_vec()
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// bytes for a file were handed to the kernel; they are not durable yet
    Wrote {
        /// the file
        path: String,
        /// where
        offset: u64,
        /// what
        bytes: Vec<u8>,
    },
    /// a file was cut
    Cut {
        /// the file
        path: String,
        /// to this length
        length: u64,
    },
    /// a sync of the file began
    SyncBegan {
        /// the file
        path: String,
        /// which call, to find its return
        call: usize,
    },
    /// a sync returned with success: what was written before it began is durable
    Synced {
        /// the file
        path: String,
        /// which call
        call: usize,
    },
    /// a message to a peer began to leave
    Sent {
        /// what
        bytes: Vec<u8>,
    },
}

/// Reads a trace. Lines that say nothing about durability are left out.
#[must_use]
pub fn parse(trace: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    // per thread: the beginning of a call that was interrupted in the print-out
    let mut open: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    for (number, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(char::is_whitespace) else { continue };
        let rest = rest.trim_start();
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            began(begin, number, &mut steps);
            open.insert(thread, (begin.to_owned(), number));
        } else if let Some(end) = rest.strip_prefix("<... ") {
            let Some((begin, call)) = open.remove(thread) else { continue };
            let tail = end.split_once("resumed>").map_or("", |(_, tail)| tail);
            returned(&format!("{begin}{tail}"), call, &mut steps);
        } else {
            began(rest, number, &mut steps);
            returned(rest, number, &mut steps);
        }
    }
    steps
}

/// What counts from the moment a call begins: syncs, and messages that may reach a peer at once.
fn began(call: &str, number: usize, steps: &mut Vec<Step>) {
    let Some((name, rest)) = call.split_once('(') else { return };
    let Some(path) = descriptor(rest) else { return };
    match name {
        "fdatasync" | "fsync" => steps.push(Step::SyncBegan { path, call: number }),
        "write" | "writev" | "sendto" | "sendmsg" if path.starts_with("socket:") => {
            steps.push(Step::Sent { bytes: strings(rest).concat() });
        }
        _ => {}
    }
}

/// What counts only once a call has returned: writes to files, cuts, syncs that succeeded.
fn returned(call: &str, number: usize, steps: &mut Vec<Step>) {
    let Some((name, rest)) = call.split_once('(') else { return };
    let Some(path) = descriptor(rest).filter(|path| path.starts_with('/')) else { return };
    let Some((words, result)) = rest.rsplit_once(" = ") else { return };
    let result = result.split_whitespace().next().and_then(|word| word.parse::<i64>().ok());
    let Some(result) = result.filter(|result| *result >= 0) else { return };
    let last = || words.trim_end().trim_end_matches(')').rsplit(", ").next()?.trim().parse().ok();
    match name {
        "pwrite64" => {
            let Some(offset) = last() else { return };
            let mut bytes = strings(rest).concat();
            bytes.truncate(usize::try_from(result).unwrap_or(0));
            steps.push(Step::Wrote { path, offset, bytes });
        }
        "ftruncate" => {
            let Some(length) = last() else { return };
            steps.push(Step::Cut { path, length });
        }
        "fdatasync" | "fsync" => steps.push(Step::Synced { path, call: number }),
        _ => {}
    }
}

/// `9<\x2f\x74…>` → `/t…`
fn descriptor(words: &str) -> Option<String> {
    let (number, rest) = words.split_once('<')?;
    number.trim().parse::<u32>().ok()?;
    let (hex, _) = rest.split_once('>')?;
    String::from_utf8(unescape(hex)).ok()
}

/// Every quoted string, its escapes undone. With `-xx` no quote can stand inside one.
fn strings(words: &str) -> Vec<Vec<u8>> {
    words.split('"').skip(1).step_by(2).map(unescape).collect()
}

fn unescape(hex: &str) -> Vec<u8> {
    hex.split("\\x").skip(1).filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_read_in_the_order_of_beginnings_and_returns() {
        let trace = "\
12 pwrite64(3<\\x2f\\x61>, \"\\x68\\x69\", 2, 4) = 2
12 fdatasync(3<\\x2f\\x61> <unfinished ...>
13 sendto(5<\\x73\\x6f\\x63\\x6b\\x65\\x74\\x3a\\x5b\\x31\\x5d>, \"\\x6f\\x6b\", 2, 0, NULL, 0) = 2
12 <... fdatasync resumed>) = 0
12 ftruncate(3<\\x2f\\x61>, 0) = 0
12 fdatasync(3<\\x2f\\x61>) = -1 EIO (Input/output error)
12 +++ exited with 0 +++
";
        let path = "/a".to_owned();
        assert_eq!(
            parse(trace),
            [
                Step::Wrote { path: path.clone(), offset: 4, bytes: b"hi".to_vec() },
                Step::SyncBegan { path: path.clone(), call: 1 },
                Step::Sent { bytes: b"ok".to_vec() },
                Step::Synced { path: path.clone(), call: 1 },
                Step::Cut { path: path.clone(), length: 0 },
                Step::SyncBegan { path, call: 5 },
            ]
        );
    }
}
