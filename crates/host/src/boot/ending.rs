//! How the last boot ended, as far as anything tells.
use crate::record::CrashMark;
use andon_model::digest::Digest;

/// Most modules taken from one crash record: a kernel's backtrace has about twenty lines.
const MODULES_MAX: usize = 16;
/// Longest name of a module (the kernel's `MODULE_NAME_LEN` less its last byte), bytes.
const MODULE_BYTES_MAX: usize = 55;

/// How the last boot ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// shut down or restarted in order
    Clean,
    /// the kernel left a record of its crash
    Crash(Crash),
    /// the watchdog reset the host
    Watchdog,
    /// nothing tells: lost power, a reset, a crash without a record. A shutdown in order that stands in
    /// the host's own record counts as `Clean` all the same.
    Unexplained,
}

/// A crash that the kernel recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crash {
    /// the modules in whose code the kernel was, innermost first; none: in its own
    pub modules: Vec<String>,
    /// the record, so that it is charged once although it may be found again
    pub mark: CrashMark,
}

impl Crash {
    /// Reads the kernel's record (the text of a pstore file). Total: any bytes are a crash, of no module
    /// if none is named. Modules that are only listed as loaded are not named by it.
    ///
    /// Where the kernel was is written `symbol+0x1a/0x2b [module]`; what has a `?` before it is a
    /// leftover on the stack, not a caller (Linux, Documentation/admin-guide/bug-hunting.rst).
    #[must_use]
    pub fn read(text: &[u8]) -> Crash {
        let mut modules: Vec<String> = Vec::new();
        for line in text.split(|byte| *byte == b'\n') {
            if let Some(name) = module(line)
                && modules.len() < MODULES_MAX
                && !modules.contains(&name)
            {
                modules.push(name);
            }
        }
        let mut mark = CrashMark::NONE;
        mark.0.copy_from_slice(&Digest::of_parts(&[b"andon.crash.v1\0", text]).0[..16]);
        Crash { modules, mark }
    }

    /// Where among the modules this one stands; the kernel takes `-` and `_` in names for one.
    pub(crate) fn names(&self, module: &str) -> Option<usize> {
        let module = module.replace('-', "_");
        self.modules.iter().position(|named| named.replace('-', "_") == module)
    }
}

/// The module in whose code this line says the kernel was.
fn module(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok()?;
    if line.contains(" ? ") {
        return None;
    }
    let (_, rest) = line.rsplit_once(" [").filter(|(before, _)| is_place(before))?;
    let name = rest.split([']', ' ']).next()?;
    let letters = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    let fits = (1..=MODULE_BYTES_MAX).contains(&name.len());
    (letters && fits).then(|| name.to_owned())
}

/// `…symbol+0x1a/0x2b`
fn is_place(text: &str) -> bool {
    let Some((_, offset)) = text.rsplit_once("+0x") else { return false };
    let Some((offset, size)) = offset.split_once("/0x") else { return false };
    [offset, size]
        .iter()
        .all(|hex| !hex.is_empty() && hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_names_the_modules_in_whose_code_the_kernel_was() {
        let text = "Panic#1 Part1\n\
            <4>[    0.812345] Modules linked in: fbsensor(OE+) virtio_net(E) nvidia(POE)\n\
            <4>[    0.812346] RIP: 0010:fbsensor_init+0xe4/0x1000 [fbsensor]\n\
            <4>[    0.812347] Call Trace:\n\
            <4>[    0.812348]  ? nvidia_open+0x1/0x2 [nvidia]\n\
            <4>[    0.812349]  do_one_initcall+0x56/0x230\n\
            <4>[    0.812350]  other_call+0x5/0x20 [other-one 0123456789abcdef]\n\
            <4>[    0.812351]  fbsensor_init+0xe4/0x1000 [fbsensor]\n";
        let crash = Crash::read(text.as_bytes());
        assert_eq!(crash.modules, ["fbsensor", "other-one"]);
        assert_eq!((crash.names("other_one"), crash.names("nvidia")), (Some(1), None));
        assert_ne!(crash.mark, Crash::read(b"").mark);
        for nothing in ["", "RIP: 0010:panic+0x1/0x2", "x [fbsensor]", "a+0x/0x [m]", "+0x1/0x2 []"]
        {
            assert_eq!(Crash::read(nothing.as_bytes()).modules, Vec::<String>::new(), "{nothing}");
        }
    }

    #[test]
    fn a_crash_names_so_many_modules_and_no_more() {
        let line = |at: usize| format!(" f+0x1/0x2 [module{at}]\n");
        let all: String = (0..MODULES_MAX + 5).map(line).collect();
        assert_eq!(Crash::read(all.as_bytes()).modules.len(), MODULES_MAX);
        let long = |length: usize| format!("f+0x1/0x2 [{}]", "m".repeat(length));
        assert_eq!(Crash::read(long(MODULE_BYTES_MAX).as_bytes()).modules.len(), 1);
        assert_eq!(Crash::read(long(MODULE_BYTES_MAX + 1).as_bytes()).modules.len(), 0);
    }
}
